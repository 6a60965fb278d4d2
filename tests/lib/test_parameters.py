"""What params.yaml may say, and what is said when it may not."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.lib import parameters
from stages.lib.errors import UserError
from tests.project import ROOT, change_parameters

FILE = ROOT / "recipes/described.yaml"
REMOVED = object()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    copy = tmp_path / "params.yaml"
    copy.write_bytes(FILE.read_bytes())
    return copy


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted(ROOT.glob("recipes/*.yaml"))])
def test_committed_files_are_right_and_comment_every_value(file: Path) -> None:
    parameters.read(file)
    for line in file.read_text().splitlines():
        if line.startswith(" "):
            assert "#" in line, f"{file.name}: no comment on: {line}"


def test_numbers_are_read_as_dvc_reads_them(path: Path) -> None:
    path.write_text(path.read_text().replace("max_learning_rate: 0.003", "max_learning_rate: 3e-3"))
    assert parameters.read(path).train.max_learning_rate == 0.003


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (
            "download",
            "source",
            "mnits",
            "download.source is 'mnits': should be 'mnist', .*, 'sample' or 'own'",
        ),
        (
            "preprocess",
            "validation_size",
            -1,
            "validation_size is -1: .*greater than or equal to 0",
        ),
        ("preprocess", "seed", 1.5, "preprocess.seed is 1.5: .*integer"),
        ("model", "dropout", 1.5, "model.dropout is 1.5: .*less than 1"),
        ("model", "dropout", True, "model.dropout is True: .*number"),
        (
            "model",
            "blocks",
            [8, "pool"] * 5,
            "model.blocks is .*: 5 'pool' entries leave",
        ),
        ("model", "blocks", [8, "pol"], "model.blocks.1 is 'pol': should be 'pool' or a whole"),
        ("model", "blocks", [0], "model.blocks.0 is 0: should be 'pool' or a whole"),
        ("model", "blocks", ["pool"], "model.blocks is .*: no convolution"),
        ("model", "blocks", [], "model.blocks is .*: .*at least 1"),
        ("model", "hidden", "none", "model.hidden is 'none': .*integer"),
        ("augment", "rotation", "ten", "augment.rotation is 'ten': .*number"),
        ("augment", "translation", float("nan"), "augment.translation is nan: .*finite"),
        ("augment", "interpolation", "cubic", "should be 'nearest' or 'bilinear'"),
        ("train", "epochs", -3, "train.epochs is -3: .*greater than or equal to 1"),
        ("train", "epochs", "19", "train.epochs is '19': .*integer"),
        ("train", "max_learning_rate", 1e308, "max_learning_rate is 1e.308: .*less than or equal"),
        ("train", "weight_decay", None, "train.weight_decay is None: .*number"),
        ("train", "device", "tpu", "train.device is 'tpu': should be 'cpu', 'cuda' or 'auto'"),
        ("train", "epoch", 3, "train.epoch: unknown key; did you mean 'epochs'"),
        ("train", "epochs", REMOVED, "train.epochs: missing; restore it from recipes/tuned.yaml"),
    ],
)
def test_a_bad_value_is_named(path: Path, section: str, key: str, value: Any, message: str) -> None:
    yaml = YAML()
    content = yaml.load(path)
    if value is REMOVED:
        del content[section][key]
    else:
        content[section][key] = value
    yaml.dump(content, path)
    with pytest.raises(UserError, match=message) as caught:
        parameters.read(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is None"),
        ("[1, 2]", r"the file is \[1, 2\]"),
        ("train: [", "line 1.*not valid YAML"),
        ("a: 1\na: 2", "not valid YAML.*duplicate"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: .*a tag"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(UserError, match=f"(?s){message}"):
        parameters.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params.yaml: no such file"):
        parameters.read(tmp_path / "params.yaml")


def test_an_unknown_section_is_refused(path: Path) -> None:
    path.write_text(path.read_text() + "trian:\n  epochs: 3\n")
    with pytest.raises(UserError, match="trian: unknown key; did you mean 'train'"):
        parameters.read(path)


def test_every_problem_has_its_line(path: Path) -> None:
    change_parameters(path, {"train": {"epochs": 0}, "model": {"dropout": -1}})
    with pytest.raises(UserError) as caught:
        parameters.read(path)
    lines = str(caught.value).splitlines()
    assert [("dropout" in line, "epochs" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]
