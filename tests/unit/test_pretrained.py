"""A network for other programs: from a file, from a Hub folder, and into one."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import digits
from digits import Classifier, load
from digits.core import files, split
from digits.core.data_shape import DataShape
from digits.core.errors import UserError
from digits.network import model_file
from tests import drawn
from tests.unit.networks import network, seeded, trained

NETWORK = trained([4, "pool", 4, "pool"], 8)
SPLIT = drawn.split(20)


@pytest.fixture
def logits() -> torch.Tensor:
    return model_file.classify(NETWORK, SPLIT.images, SPLIT.normalisation)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model file with its card and ONNX files, as the pipeline leaves them."""
    path = tmp_path / "models/model.safetensors"
    model_file.save(path, NETWORK, SPLIT.normalisation)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    files.write(path.with_name("README.md"), f"| md5 `{md5}` |".encode())
    files.write(path.with_name("model.onnx"), b"onnx")
    files.write(path.with_name("origin.json"), b"{}")
    return path


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Path:
    load(source).save_pretrained(tmp_path / "hub")
    return tmp_path / "hub"


def test_a_file_and_a_folder_give_the_network_that_was_saved(
    source: Path, folder: Path, logits: torch.Tensor
) -> None:
    for path in (source, str(source), folder, str(folder)):
        model = load(path)
        assert torch.equal(model(SPLIT.images), logits)
        assert torch.equal(model(SPLIT.images.numpy()), logits)
        assert model.classes == tuple("0123456789")
    assert torch.equal(Classifier.from_pretrained(folder)(SPLIT.images), logits)
    assert digits.Classifier is Classifier
    with pytest.raises(AttributeError, match="module 'digits' has no attribute 'lod'"):
        _ = digits.lod


def test_a_folder_has_its_files_at_its_root_and_the_same_bytes(source: Path, folder: Path) -> None:
    copied = {"README.md", "model.onnx", "model.safetensors"}
    assert {path.name for path in folder.iterdir()} == copied | {"config.json"}
    for name in copied:
        assert (folder / name).read_bytes() == source.with_name(name).read_bytes()
    config = json.loads((folder / "config.json").read_bytes())
    assert (config["image_size"], config["num_channels"]) == (28, 1)
    assert config["id2label"] == {str(label): str(label) for label in range(10)}
    assert config["label2id"] == {str(label): label for label in range(10)}
    assert config["architecture"]["blocks"] == [4, "pool", 4, "pool"]
    assert config["normalisation"] == SPLIT.normalisation.model_dump()


def test_a_network_that_was_changed_takes_no_card_and_no_onnx_along(
    source: Path, tmp_path: Path, logits: torch.Tensor
) -> None:
    model = load(source)
    with torch.no_grad():
        model.network.get_submodule("fc2").bias.zero_()
    model.save_pretrained(tmp_path / "tuned")
    assert {path.name for path in (tmp_path / "tuned").iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    assert not torch.equal(load(tmp_path / "tuned")(SPLIT.images), logits)


def test_the_card_of_another_model_is_refused(source: Path, tmp_path: Path) -> None:
    files.write(source.with_name("README.md"), f"| md5 `{'0' * 32}` |".encode())
    with pytest.raises(UserError, match="README.md: describes a model of md5 000.*`dvc repro`"):
        load(source).save_pretrained(tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 28, 28)),
        np.zeros((28, 28), np.uint8),
        np.zeros((1, 8, 8), np.uint8),
        torch.zeros(1, 28, 28, 3, dtype=torch.uint8),
    ],
)
def test_images_of_another_kind_are_refused(folder: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected torch.uint8 of shape \(N, 28, 28\)"):
        load(folder)(images)


def test_a_network_of_another_shape_says_so(tmp_path: Path) -> None:
    shape = DataShape(12, 3, ("a b", "é", "犬"), "crop")
    made = network([4, "pool"], shape=shape).eval()
    model_file.save(tmp_path / "colour", made, SPLIT.normalisation)
    load(tmp_path / "colour").save_pretrained(tmp_path / "hub")
    config = json.loads((tmp_path / "hub/config.json").read_text())
    assert (config["image_size"], config["num_channels"], config["fit"]) == (12, 3, "crop")
    assert config["id2label"] == {"0": "a b", "1": "é", "2": "犬"}
    assert config["label2id"] == {"a b": 0, "é": 1, "犬": 2}

    model = load(tmp_path / "hub")
    assert model.classes == shape.classes
    images = torch.randint(0, 256, (5, 12, 12, 3), generator=seeded(), dtype=torch.uint8)
    assert torch.equal(model(images), model_file.classify(made, images, SPLIT.normalisation))
    with pytest.raises(ValueError, match=r"of shape \(5, 12, 12\), expected .* \(N, 12, 12, 3\)"):
        model(images[..., 0])


def rewritten(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_bytes())
        (folder / "config.json").write_text(json.dumps(config | {key: value}))

    return change


def cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1])


def flipped(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def with_a_pipe(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json: no such file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: no such file"),
        (with_a_pipe, "config.json: no such file"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff{"), "config.json: not JSON"),
        (lambda folder: (folder / "config.json").write_text("[" * 10**6), "config.json: not JSON"),
        (lambda folder: (folder / "config.json").write_text("9" * 5000), "config.json: not JSON"),
        (lambda folder: (folder / "config.json").write_bytes(bytes(2**21)), "not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
        (rewritten("image_size", 29), "image_size is 29, but model.safetensors beside it says 28"),
        (
            rewritten("id2label", {"0": "\x1b[31m"}),
            r"id2label is \{'0': .*, but .* says \{'0': '0'",
        ),
        (rewritten("architecture", None), "architecture is None, but"),
        (cut, "model.safetensors: not a whole safetensors file"),
        (flipped, "model.safetensors: damaged: .* get it again from where it came from"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04pickle"),
            "not a whole safetensors file",
        ),
        (
            lambda folder: split.save(folder / "model.safetensors", SPLIT),
            "its header is not that of a model",
        ),
    ],
)
def test_a_folder_that_is_not_right_is_refused_in_a_line(
    folder: Path, change: Callable[[Path], object], message: str
) -> None:
    change(folder)
    with pytest.raises(UserError, match=message) as refused:
        load(folder)
    assert str(refused.value).startswith(str(folder))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500 + len(str(folder))


def test_a_name_on_the_hub_is_not_fetched() -> None:
    with pytest.raises(UserError, match="nothing is fetched from the Hub: `hf download USER/NAME"):
        load("user/name")


def test_what_else_a_config_says_is_ignored(folder: Path, logits: torch.Tensor) -> None:
    rewritten("transformers_version", "9.9")(folder)
    assert torch.equal(load(folder)(SPLIT.images), logits)
