"""What params.yaml may contain, and the message where it may not."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits.core import config
from digits.core.config import Augmentation, Config
from digits.core.errors import UserError
from digits.core.strict_yaml import check
from tests.project import ROOT

FULL = (ROOT / "recipes/tuned.yaml").read_text()
REMOVED = object()


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted(ROOT.glob("recipes/*.yaml"))])
def test_committed_files_are_valid_and_comment_every_value(file: Path) -> None:
    config.read(file)
    for line in file.read_text().splitlines():
        is_value = line.startswith(" ") and not line.startswith("  - ")
        assert "#" in line or not is_value, f"{file.name}: no comment on: {line}"


FORMS = (1, "pad", "zeros")  # of pictures: grey, and what is done where they end


def test_a_key_that_is_left_out_is_off() -> None:
    content = YAML(typ="safe").load(FULL)
    for section, field in Config.model_fields.items():
        for key, value in field.annotation.model_fields.items():
            if not value.is_required():
                assert value.default in (0, None, "nearest", "cpu", *FORMS), "off"
                content[section][key] = value.default
                explicit = check(Config, content, "params.yaml")
                del content[section][key]
                assert check(Config, content, "params.yaml") == explicit


def test_augmentation_lists_what_is_on() -> None:
    assert str(Augmentation()) == ""
    assert str(Augmentation(rotation=10, scale=0.05)) == "rotation ±10°, scale ±5 %"
    assert str(Augmentation(translation=0.1, shear=7.5)) == "translation ±10 %, shear ±7.5°"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("preprocess.seed", 1.5, " is 1.5: .*integer"),
        ("preprocess.validation_size", 1.5, " is 1.5: .*0 to 50000, or a share between 0 and 1"),
        ("preprocess.validation_size", -1, " is -1: .*0 to 50000, or a share between 0 and 1"),
        ("model.dropout", True, " is True: .*number"),
        (
            "model.blocks",
            [0],
            ".0 is 0: should be a whole number of channels, 1 to 1024, or a word",
        ),
        ("model.blocks", [], " is .*: .*at least 1"),
        ("augment.translation", float("nan"), " is nan: .*finite"),
        ("augment.interpolation", "cubic", " is .* should be 'nearest' or 'bilinear'"),
        ("train.epochs", "19", " is '19': .*integer"),
        ("train.weight_decay", None, " is None: .*number"),
        ("train.epoch", 3, ": unknown key; did you mean 'epochs'"),
        ("train.epochs", REMOVED, ": missing; restore it from recipes/tuned.yaml"),
    ],
)
def test_a_bad_value_is_named_in_a_line(key: str, value: Any, message: str) -> None:
    section, _, name = key.partition(".")
    content = YAML(typ="safe").load(FULL)
    content[section][name] = value
    if value is REMOVED:
        del content[section][name]
    with pytest.raises(UserError, match=f"^params.yaml: {key}{message}[^\n]*$"):
        check(Config, content, "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is None"),
        ("train: [", "line 1.*not valid YAML"),
        ("a: 1\na: 2", "not valid YAML.*duplicate"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: .* for the tag"),
        (FULL + "trian: {epochs: 3}", "trian: unknown key; did you mean 'train'"),
        (None, "no such file; restore it with `git checkout"),
        (
            FULL.replace("dropout: 0.4", "dropout: -1").replace("epochs: 19", "epochs: 0"),
            "model.dropout is -1: [^\n]*\n[^\n]*params.yaml: train.epochs is 0: [^\n]*$",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=f"(?s)^{path}.*{message}"):
        config.read(path)


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(FULL.replace("max_learning_rate: 0.01", "max_learning_rate: 3e-3"))
    assert config.read(path).train.max_learning_rate == 0.003


def test_a_whole_number_may_have_a_point() -> None:
    """DVC takes 19 and 19.0 for the same, so it would not even ask whether that is allowed."""
    content = YAML(typ="safe").load(FULL)
    expected = check(Config, content, "params.yaml")
    for section in content.values():
        for key, value in section.items():
            if type(value) is int:
                section[key] = float(value)
    content["model"]["blocks"] = [
        float(block) if type(block) is int else block for block in content["model"]["blocks"]
    ]
    read = check(Config, content, "params.yaml")
    assert read == expected
    assert read.model_dump_json() == expected.model_dump_json(), "to the type: it is hashed"
