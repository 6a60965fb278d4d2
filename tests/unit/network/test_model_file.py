"""The file that carries a network, and the logits of images."""

from pathlib import Path

import pytest
import torch

from digits.core import tensor_file
from digits.core.errors import UserError
from digits.core.split import Normalisation
from digits.network import model_file
from digits.network.model_file import ModelHeader, classify
from tests import drawn
from tests.unit.networks import Blocks, network

NETWORK = network([8, "pool", 4, "pool"], 32, 0.4)
NORMALISATION = Normalisation(mean=0.1307, std=0.3081)
IMAGES = drawn.split(20).images


@pytest.mark.parametrize("training", [True, False])
def test_logits_depend_neither_on_batch_mates_nor_on_the_mode(training: bool) -> None:
    NETWORK.train(training)
    together = classify(NETWORK, IMAGES, NORMALISATION)
    alone = torch.cat([classify(NETWORK, image[None], NORMALISATION) for image in IMAGES])
    many = classify(NETWORK, IMAGES.repeat(13, 1, 1), NORMALISATION)  # more than one batch
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(many, together.repeat(13, 1), atol=1e-6)
    assert NETWORK.training == training


def test_a_network_with_biases_has_the_header_it_always_had(tmp_path: Path) -> None:
    for bias_free in (False, True):
        model_file.save(tmp_path / "a", network([4], bias_free=bias_free), NORMALISATION)
        loaded, _ = model_file.load(tmp_path / "a")
        assert loaded.architecture.bias_free is bias_free
        assert (b"bias_free" in (tmp_path / "a").read_bytes()) is bias_free


def test_saved_and_loaded_is_the_same_network(tmp_path: Path) -> None:
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    model_file.save(one, NETWORK, NORMALISATION)
    model_file.save(other, NETWORK, NORMALISATION)
    assert one.read_bytes() == other.read_bytes()
    loaded, normalisation = model_file.load(one)
    assert normalisation == NORMALISATION
    assert loaded.architecture == NETWORK.architecture
    assert not loaded.training
    assert torch.equal(*(classify(each, IMAGES, normalisation) for each in (NETWORK, loaded)))


BLOCKS = NETWORK.architecture.blocks


@pytest.mark.parametrize(
    ("blocks", "changes", "message"),
    [
        ([4], {}, "do not fit the architecture"),
        (["pol"], {}, "model.blocks.0 is 'pol': did you mean 'pool'"),
        (BLOCKS, {"more": torch.zeros(1)}, "more is torch.float32 .*, expected none"),
        (BLOCKS, {"fc2.bias": torch.full([10], torch.nan)}, "fc2.bias is not finite"),
        (None, {}, "no valid ModelHeader"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, blocks: Blocks | None, changes: dict[str, torch.Tensor], message: str
) -> None:
    path, header = tmp_path / "model.safetensors", NORMALISATION
    if blocks:
        architecture = NETWORK.architecture.model_copy(update={"blocks": blocks})
        header = ModelHeader(architecture=architecture, normalisation=NORMALISATION)
    tensor_file.save(path, NETWORK.state_dict() | changes, header)
    with pytest.raises(UserError, match=f"model.safetensors: .*{message}"):
        model_file.load(path)
