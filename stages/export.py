"""Write the trained network as ONNX, for programs without torch, checked against torch.

Reads models/model.safetensors and data/prepared/{train,test}.safetensors. Writes
models/model.onnx (float32), models/model.int8.onnx (8-bit integers, their ranges measured on
training images) and metrics/export.json. Both files take raw grey images, uint8: no caller can
forget the normalisation or scale it twice.
"""

import sys
from pathlib import Path

import torch

from stages.lib import files, model, splits
from stages.lib.alone import run_stage
from stages.lib.errors import UserError
from stages.lib.layers import ceilings, layers_of
from stages.lib.onnx_file import encode
from stages.lib.runtime import Reader

MODEL = Path("models/model.safetensors")
PREPARED = Path("data/prepared")
ONNX = Path("models/model.onnx")
INTEGERS = Path("models/model.int8.onnx")
METRICS = Path("metrics/export.json")

MEASURED_IMAGES = 2000  # training images that tell the range of each layer's values
TOLERANCE = 1e-5  # of the largest logit, or of 10 if that is more


def largest_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """How far apart two sets of logits are at most.

    Rounding grows with the numbers that are summed, so beyond logits of 10 what is allowed does
    too.

    Raises:
        UserError: further than rounding explains, or another digit is read where torch does not
            see two as equally likely, within the same rounding.
    """
    limit = TOLERANCE * max(10, expected.abs().max().item())
    difference = (found - expected).abs().max().item()
    likely = expected.topk(2).values
    is_tie = likely[:, 0] - likely[:, 1] < limit
    wrong = int(((found.argmax(1) != expected.argmax(1)) & ~is_tie).sum())
    if not difference < limit or wrong:
        raise UserError(
            f"{ONNX}: not written: onnxruntime's logits differ from torch's by up to "
            f"{difference:.2g}, expected below {limit:.2g}, and {wrong:,} of {len(found):,} "
            "test images are read as another digit; please report this with your params.yaml"
        )
    return difference


def main() -> None:
    torch.set_num_threads(1)  # more would change bits

    network, normalisation = model.load(MODEL)
    train = splits.load(PREPARED / "train.safetensors")
    test = splits.load(PREPARED / "test.safetensors")
    if not len(test):
        raise UserError(f"{PREPARED}/test.safetensors: holds no images, so nothing can be checked")

    layers = layers_of(network)
    measured = normalisation(train.images[:MEASURED_IMAGES].unsqueeze(1))
    floats = encode(layers, normalisation)
    integers = encode(layers, normalisation, ceilings(layers, measured))

    expected = model.predict(network, test.images, normalisation)
    metrics: dict[str, object] = {"examples": len(test)}
    difference = 0.0
    for name, content in (("float32", floats), ("int8", integers)):
        logits = torch.from_numpy(Reader(content)(test.images.numpy())[0])
        if content is floats:
            difference = largest_difference(logits, expected)
        digits = logits.argmax(1)
        metrics |= {
            f"{name}_bytes": len(content),
            f"{name}_accuracy": (digits == test.labels).double().mean().item(),
            f"{name}_same_digits": int((digits == expected.argmax(1)).sum()),
        }

    files.write(ONNX, floats)
    files.write(INTEGERS, integers)
    files.write_json(METRICS, metrics)
    # not in the metrics: the last bits of onnxruntime's floats depend on the processor
    print(
        f"export: {metrics['float32_same_digits']:,} of {len(test):,} test images read as torch "
        f"reads them, logits within {difference:.1g}; "
        f"{metrics['int8_same_digits']:,} with 8-bit integers",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
