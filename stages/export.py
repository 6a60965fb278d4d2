"""Write the trained network as ONNX, for programs without torch, checked against torch.

Reads models/model.safetensors, data/prepared/{train,test}.safetensors and the temperature of
metrics/train.json. Writes models/model.onnx (float32), models/model.int8.onnx (8-bit integers,
ranges measured on training images) and metrics/export.json. Both files take raw grey images, uint8:
no caller can forget the normalisation or apply it twice.
"""

import sys

import torch

from digits.core import files, split
from digits.core.data_shape import channels_first
from digits.core.entry_point import run_stage
from digits.core.errors import UserError
from digits.export.onnx_file import activation_maxima, encode, operations_of
from digits.export.onnx_session import Session
from digits.network import model_file
from stages import paths

MEASURED_IMAGES = 2000  # training images that the ranges of activations are measured on
TOLERANCE = 1e-5  # of the largest logit, or of 10 if that is more


def largest_difference(logits: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference between two sets of logits.

    Rounding errors grow with the numbers that are added, so the limit grows with logits over 10.

    Raises:
        UserError: more than rounding explains, or another digit where torch does not see a tie
            within the same rounding.
    """
    limit = TOLERANCE * max(10, expected.abs().max().item())
    difference = (logits - expected).abs().max().item()
    top = expected.topk(2).values
    is_tie = top[:, 0] - top[:, 1] < limit
    wrong = int(((logits.argmax(1) != expected.argmax(1)) & ~is_tie).sum())
    if not difference < limit or wrong:
        raise UserError(
            f"{paths.ONNX}: not written: onnxruntime's logits differ from torch's by up to "
            f"{difference:.2g}, expected below {limit:.2g}, and {wrong:,} of {len(logits):,} "
            "test images are read as another digit; please report this with your params.yaml"
        )
    return difference


def main() -> None:
    torch.set_num_threads(1)  # more would change bits

    network, normalisation = model_file.load(paths.MODEL)
    train = split.load(paths.TRAIN, normalisation)
    test = split.load(paths.TEST, normalisation)
    if not len(test):
        raise UserError(f"{paths.TEST}: holds no images, so nothing can be checked")
    model_file.check_shape(paths.MODEL, network, test)

    operations = operations_of(network)
    measured = normalisation(channels_first(train.images[:MEASURED_IMAGES]))
    temperature = files.read_metrics(paths.TRAIN_METRICS)["temperature"]
    maxima = activation_maxima(operations, measured)
    floats = encode(operations, normalisation, None, temperature, test.shape)
    integers = encode(operations, normalisation, maxima, temperature, test.shape)

    expected = model_file.classify(network, test.images, normalisation)
    metrics: dict[str, object] = {"examples": len(test)}
    difference = 0.0
    for name, content in (("float32", floats), ("int8", integers)):
        logits = torch.from_numpy(Session(content).classify(test.images.numpy())[0])
        if content is floats:
            difference = largest_difference(logits, expected)
        digits = logits.argmax(1)
        metrics |= {
            f"{name}_bytes": len(content),
            f"{name}_accuracy": (digits == test.labels).double().mean().item(),
            f"{name}_same_digits": int((digits == expected.argmax(1)).sum()),
        }

    files.write(paths.ONNX, floats)
    files.write(paths.INTEGER_ONNX, integers)
    files.write_metrics(paths.EXPORT_METRICS, {}, metrics)
    # not in the metrics: the last bits of onnxruntime's floats depend on the processor
    print(
        f"export: {metrics['float32_same_digits']:,} of {len(test):,} test images read as torch "
        f"reads them, logits within {difference:.1g}; "
        f"{metrics['int8_same_digits']:,} with 8-bit integers",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
