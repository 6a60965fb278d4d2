"""A resumed run ends with the bits of a run that was never stopped."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import create_model

from digits.core import config, tensor_file
from digits.training import checkpoint
from digits.training.checkpoint import Checkpoint, CheckpointHeader, Epoch, key_of
from digits.training.loop import train_network
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import seeded

TRAIN, VALIDATION = drawn.split(200), drawn.split(50, seed=9)
DESCRIBED = config.read(ROOT / "recipes/described.yaml")
SHORT = {"epochs": 5, "batch_size": 40, "dropout_epochs": 3, "norm_images": 100}
RECIPE = DESCRIBED.model_copy(
    update={
        "model": DESCRIBED.model.model_copy(update={"blocks": [4, "pool", 4, "pool"]}),
        "train": DESCRIBED.train.model_copy(update=SHORT),
    }
)
Run = tuple[str, list[Epoch], list[list[Epoch]]]
State = dict[str, torch.Tensor]


def run(kept: Checkpoint | None = None) -> Run:
    """A digest of the network, the history, and the histories that were reported."""
    reported: list[list[Epoch]] = []
    network, history = train_network(
        RECIPE, TRAIN, VALIDATION, lambda rows: reported.append(list(rows)), kept
    )
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return tensor_file.digest(state, TRAIN.normalisation), history, reported


def stop_after(epoch: int, kept: Checkpoint) -> tuple[State, CheckpointHeader]:
    """Run so many epochs, then stop as at a kill; returns what the checkpoint holds."""

    def stop(history: list[Epoch]) -> None:
        if len(history) == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(RECIPE, TRAIN, VALIDATION, stop, kept)
    return tensor_file.load(kept.path, CheckpointHeader)


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoint.safetensors", "this run")


@pytest.fixture(scope="module")
def whole() -> Run:
    """A run that is not stopped."""
    return run()


@pytest.mark.parametrize("epoch", range(1, 6))
def test_the_bits_are_the_same(
    whole: Run, kept: Checkpoint, epoch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_after(epoch, kept)
    digest, history, reported = run(kept)
    assert (digest, history) == whole[:2]
    assert repr(history) == repr(whole[1]), "an epoch stays a whole number"
    assert reported == [history[:rows] for rows in range(epoch, 6)], "and all rows are written"
    assert f"train: resuming after epoch {epoch} " in capsys.readouterr().err
    assert list(kept.path.parent.iterdir()) == [kept.path], "also when all is done"


@pytest.mark.parametrize("part", ["generator", "optimizer.first", "optimizer.second"])
def test_every_part_of_the_state_matters(whole: Run, kept: Checkpoint, part: str) -> None:
    state, header = stop_after(2, kept)
    start = seeded(RECIPE.train.seed).get_state()
    state[part] = start if part == "generator" else torch.zeros_like(state[part])
    tensor_file.save(kept.path, state, header)
    assert run(kept)[0] != whole[0]


UNFIT: dict[str, Callable[[State, list[Epoch]], object]] = {
    "no generator": lambda state, rows: state.pop("generator"),
    "no generator's bytes": lambda state, rows: state["generator"].zero_(),
    "another shape": lambda state, rows: state.update({"network.fc1.bias": torch.zeros(9)}),
    "another type": lambda state, rows: state.update(
        {"optimizer.first": state["optimizer.first"].double()}
    ),
    "one tensor more": lambda state, rows: state.update(more=torch.zeros(1)),
    "not finite": lambda state, rows: state["optimizer.second"].fill_(math.nan),
    "a step too many": lambda state, rows: state["optimizer.taken"].add_(1),
    "no rows": lambda state, rows: (rows.clear(), state["optimizer.taken"].zero_()),
    "a row missing": lambda state, rows: rows.pop(),
    "an epoch twice": lambda state, rows: rows[1].update(epoch=1),
    "more epochs than there are": lambda state, rows: (
        rows.extend({"epoch": epoch} for epoch in range(3, 7)), state["optimizer.taken"].fill_(30)
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "change", ["another run's", "a newer version's", "empty", "truncated", "flipped", *UNFIT]
)
def test_a_checkpoint_that_is_damaged_or_does_not_fit_is_refused(
    whole: Run, kept: Checkpoint, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state, header = stop_after(2, kept)
    problem = "is damaged"
    if change == "another run's":
        stop_after(2, Checkpoint(kept.path, change))
        problem = "belongs to other parameters, data, code or device"
    elif change == "a newer version's":
        newer = create_model("Newer", __base__=CheckpointHeader, notes=(str, ""))
        tensor_file.save(kept.path, state, newer(**header.model_dump()))
        problem = "is damaged, or of another version of this project"
    elif change in UNFIT:
        UNFIT[change](state, header.history)
        tensor_file.save(kept.path, state, header)
    else:
        content = bytearray(kept.path.read_bytes())
        content[-100] ^= 1
        kept.path.write_bytes({"empty": b"", "truncated": content[:-1], "flipped": content}[change])
    capsys.readouterr()
    assert run(kept) == whole, "nothing of it was used"
    refusal = f"train: {kept.path} {problem}; training starts from the beginning\n"
    assert capsys.readouterr().err == refusal


def test_metrics_that_are_not_finite_come_back(kept: Checkpoint) -> None:
    state, header = stop_after(1, kept)
    header.history[0].update(loss=math.inf, other=math.nan, none=None)
    tensor_file.save(kept.path, state, header)
    _, _, reported = run(kept)
    assert repr(reported[0]) == repr(header.history)


def test_the_key_determines_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(*splits: drawn.Split, device: str = "cpu", **values: float) -> str:
        training = RECIPE.train.model_copy(update=values)
        return key_of([RECIPE.augment, training], splits, torch.device(device))

    one = key(TRAIN, VALIDATION)
    assert one == key(drawn.split(200), VALIDATION)
    keys = [one, key(VALIDATION, TRAIN), key(TRAIN, drawn.split(50, seed=8))]
    keys += [key(TRAIN, VALIDATION, device="cuda"), key(TRAIN, VALIDATION, weight_decay=0.1)]
    monkeypatch.setattr(checkpoint, "LIBRARY", tmp_path)
    monkeypatch.setattr(checkpoint, "CODE", [tmp_path])
    for code in ("pass", "pass # changed"):
        (tmp_path / "loop.py").write_text(code)
        keys.append(key(TRAIN, VALIDATION))
    monkeypatch.setattr(checkpoint, "version", lambda package: f"another {package}")
    keys.append(key(TRAIN, VALIDATION))
    assert len(set(keys)) == 8
