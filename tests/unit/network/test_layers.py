"""What the words of `model.blocks` mean, one layer at a time."""

import pytest
import torch

from digits.core.config import Architecture
from digits.core.errors import UserError
from digits.export.onnx_file import operations_of
from digits.network.blocks import layers_of
from tests.unit.networks import Blocks, seeded, trained

ARCHITECTURES = [
    # blocks, hidden, and the layers with the channels and the size of their outputs
    (
        [8, "pool", 16],
        32,
        "ConvBlock 8 28, MaxPool 8 14, ConvBlock 16 14, Linear 32 1, Linear 10 1",
    ),
    ([4, "pool", "pool"], None, "ConvBlock 4 28, MaxPool 4 14, MaxPool 4 7, Linear 10 1"),
    (["pool", 4, 5], None, "MaxPool 1 14, ConvBlock 4 14, ConvBlock 5 14, Linear 10 1"),
    (
        [1, "pool", "pool", "pool", "pool", 2],
        1,
        "ConvBlock 1 28, MaxPool 1 14, MaxPool 1 7, MaxPool 1 3, MaxPool 1 1, ConvBlock 2 1, "
        "Linear 1 1, Linear 10 1",
    ),
    (
        ["3 valid", "pool", "5 valid", "gap"],
        None,
        "ConvBlock 3 26, MaxPool 3 13, ConvBlock 5 11, GlobalAveragePool 5 1, Linear 10 1",
    ),
]


@pytest.mark.parametrize(("blocks", "hidden", "layers"), ARCHITECTURES)
def test_layers_shapes_and_operations(blocks: Blocks, hidden: int | None, layers: str) -> None:
    network = trained(blocks, hidden)
    names, shapes = [type(layer).__name__ for layer in network.layers], []
    images = torch.randn(3, 1, 28, 28, generator=seeded())
    for training in (True, False):
        features = images
        shapes = [layer.output for layer in network.train(training).layers]
        for layer, shape in zip(network.layers, shapes, strict=True):
            features = layer.forward(network, features, seeded())
            assert features.shape[:2] == (3, shape.channels)
            assert features[0, 0].numel() == shape.size**2
    described = [f"{name} {s.channels} {s.size}" for name, s in zip(names, shapes, strict=True)]
    assert ", ".join(described) == layers

    result = images
    for operation in operations_of(network):
        result = operation.run(result).relu() if operation.relu else operation.run(result)
    assert torch.allclose(result, features, rtol=1e-4, atol=1e-5 * features.abs().max().item())


def test_a_pool_before_the_first_convolution_keeps_negative_pixels() -> None:
    images = -torch.rand(4, 1, 28, 28, generator=seeded())
    network = trained(["pool", 4])
    assert not torch.equal(network(images), network(torch.zeros(4, 1, 28, 28)))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([8, "pol"], r"blocks.1 is 'pol': did you mean 'pool'\? should be 'pool'.* or a whole"),
        ([8, "xyz"], "blocks.1 is 'xyz': should be 'pool'.* or a whole number of channels"),
        ([8, "pool"] * 5, "blocks is .*: 'pool' at place 9 leaves nothing of the 28x28"),
        (["pool"] * 5 + [8], "blocks is .*: 'pool' at place 4 leaves nothing of the 28x28"),
        (["0 valid"], "blocks.0 is '0 valid': should be .* 1 to 1024, such as 8 or '8 valid'"),
        ([8, "1025 valid"], "blocks.1 is '1025 valid': should be"),
        (["8 vaild"], "blocks.0 is '8 vaild': should be"),
        (["8 valid"] * 14, "blocks is .*: '8 valid' at place 13 leaves nothing of the 28x28"),
        (["pool"], "blocks is .*: no convolution; at least one number is needed"),
    ],
)
def test_blocks_that_make_no_sense_are_refused(blocks: Blocks, message: str) -> None:
    with pytest.raises(UserError, match=f"^model.{message}"):
        layers_of(Architecture(blocks=blocks))
