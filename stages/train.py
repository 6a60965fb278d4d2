"""Train the network; the test split is not among the inputs.

Reads data/prepared/{train,validation}.safetensors and `model`, `augment`, `train` of
params.yaml. Writes models/model.safetensors, metrics/train.json, metrics/environment.json and,
after every epoch, plots/learning_curves.csv. A run that is stopped leaves
checkpoints/train.safetensors; the next one resumes from it, and removes it at the end.
"""

from tqdm import tqdm

from digits.core import config, files, split
from digits.core.entry_point import run_stage
from digits.network import model_file
from digits.network.digitnet import check_budget, pick_device
from digits.training import environment
from digits.training.checkpoint import Checkpoint, Epoch, key_of
from digits.training.loop import train_network
from stages import paths


def write_curves(history: list[Epoch]) -> None:
    """A row for each epoch; not with pandas, which takes a third of a second and 30 MB."""
    rows = [["" if value is None else f"{value:.6g}" for value in row.values()] for row in history]
    table = "".join(",".join(row) + "\n" for row in [list(history[0]), *rows])
    files.write(paths.CURVES, table.encode())


def main() -> None:
    parameters = config.read(paths.PARAMETERS)
    count = check_budget(parameters.model)
    device = pick_device(parameters.train.device)

    train = split.load(paths.TRAIN)
    validation = split.load(paths.VALIDATION)
    sections = [parameters.model, parameters.augment, parameters.train]
    checkpoint = Checkpoint(paths.CHECKPOINT, key_of(sections, [train, validation], device))

    with tqdm(total=parameters.train.epochs, unit="epoch", disable=None) as bar:

        def after_epoch(history: list[Epoch]) -> None:
            write_curves(history)
            bar.update(len(history) - bar.n)

        network, history = train_network(
            parameters, train.to(device), validation.to(device), after_epoch, checkpoint
        )

    model_file.save(paths.MODEL, network, train.normalisation)
    last = {name: value for name, value in history[-1].items() if value is not None}
    files.write_json(paths.TRAIN_METRICS, {"parameters": count, **last})
    files.write_json(paths.ENVIRONMENT, environment.describe(device))
    checkpoint.remove()


if __name__ == "__main__":
    run_stage(main)
