"""A run that goes on from a checkpoint ends on the bits of one that was never stopped."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stages import train
from stages.lib import checkpoint, model, parameters, tensors
from stages.lib.checkpoint import Checkpoint, CheckpointHeader, Row, bytes_needed, key_of
from stages.lib.optimizer import Adam
from tests import digits
from tests.project import ROOT

TRAIN, VALIDATION = digits.split(200), digits.split(50, seed=9)
DESCRIBED = parameters.read(ROOT / "recipes/described.yaml")
RECIPE = DESCRIBED.model_copy(
    update={
        "model": DESCRIBED.model.model_copy(update={"blocks": [4, "pool", 4, "pool"]}),
        "train": DESCRIBED.train.model_copy(
            update={"epochs": 5, "batch_size": 40, "dropout_epochs": 3, "norm_images": 100}
        ),
    }
)
SECTIONS = [RECIPE.model, RECIPE.augment, RECIPE.train]
CPU = torch.device("cpu")


class StoppedError(Exception):
    """What stands for a kill here; tests/faults/test_kill.py kills for real."""


def digest(path: Path, **run: object) -> tuple[str, list[Row], list[list[Row]]]:
    """The model's sha256, the history, and the histories that were reported."""
    reported: list[list[Row]] = []
    network, history = train.train_recipe(
        RECIPE, TRAIN, VALIDATION, lambda rows: reported.append(list(rows)), **run
    )
    model.save(path, network, TRAIN.normalisation)
    return hashlib.sha256(path.read_bytes()).hexdigest(), history, reported


def stop_after(epoch: int, kept: Checkpoint) -> None:
    def stop(history: list[Row]) -> None:
        if len(history) == epoch:
            raise StoppedError

    with pytest.raises(StoppedError):
        train.train_recipe(RECIPE, TRAIN, VALIDATION, stop, kept)


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoint.safetensors", "this run")


@pytest.mark.parametrize("epoch", range(1, 6))
def test_it_ends_on_the_same_bits(
    kept: Checkpoint, tmp_path: Path, epoch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, history, _ = digest(tmp_path / "model")
    stop_after(epoch, kept)
    again, same, reported = digest(tmp_path / "model", checkpoint=kept)
    assert (again, same) == (whole, history)
    assert repr(same) == repr(history), "an epoch stays a whole number"
    assert reported == [history[:rows] for rows in range(epoch, 6)], "and all rows are written"
    assert f"train: resuming after epoch {epoch} " in capsys.readouterr().err


@pytest.mark.parametrize("part", ["generator", "optimizer.first.0", "optimizer.count.0"])
def test_without_a_part_of_the_state_the_bits_differ(
    kept: Checkpoint, tmp_path: Path, part: str
) -> None:
    whole, *_ = digest(tmp_path / "model")
    stop_after(2, kept)
    state, header = tensors.load(kept.path, CheckpointHeader)
    state[part] = (
        torch.Generator().manual_seed(RECIPE.train.seed).get_state()
        if part == "generator"
        else torch.zeros_like(state[part])
    )
    tensors.save(kept.path, state, header)
    again, *_ = digest(tmp_path / "model", checkpoint=kept)
    assert again != whole


def test_another_runs_is_ignored(
    kept: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, *_ = digest(tmp_path / "model")
    stop_after(2, Checkpoint(kept.path, "another run"))
    assert digest(tmp_path / "model", checkpoint=kept)[0] == whole
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"train: {kept.path} is of other parameters, data, code or device; training starts anew"
    ]


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped"])
def test_a_damaged_one_is_refused(
    kept: Checkpoint, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, *_ = digest(tmp_path / "model")
    stop_after(2, kept)
    content = bytearray(kept.path.read_bytes())
    content[-100] ^= 1
    kept.path.write_bytes({"empty": b"", "truncated": content[:-1], "flipped": content}[damage])
    assert digest(tmp_path / "model", checkpoint=kept)[0] == whole
    said = capsys.readouterr().err.splitlines()
    assert said == [f"train: {kept.path} is damaged; training starts anew"]


UNFIT: dict[str, Callable[[dict[str, torch.Tensor], list[Row]], object]] = {
    "no generator": lambda state, rows: state.pop("generator"),
    "no generator's bytes": lambda state, rows: state["generator"].zero_(),
    "another shape": lambda state, rows: state.update({"network.fc1.bias": torch.zeros(9)}),
    "another type": lambda state, rows: state.update(
        {"optimizer.first.0": state["optimizer.first.0"].double()}
    ),
    "one tensor more": lambda state, rows: state.update(more=torch.zeros(1)),
    "not finite": lambda state, rows: state["optimizer.second.0"].fill_(math.nan),
    "a step too many": lambda state, rows: state["optimizer.taken"].add_(1),
    "no rows": lambda state, rows: (rows.clear(), state["optimizer.taken"].zero_()),
    "a row missing": lambda state, rows: rows.pop(),
    "an epoch twice": lambda state, rows: rows[1].update(epoch=1),
    "more epochs than there are": lambda state, rows: (
        rows.extend({"epoch": epoch} for epoch in range(3, 7)), state["optimizer.taken"].fill_(30)
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", UNFIT)
def test_a_whole_one_that_does_not_fit_its_run_is_refused(
    kept: Checkpoint, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, *_ = digest(tmp_path / "model")
    stop_after(2, kept)
    state, header = tensors.load(kept.path, CheckpointHeader)
    UNFIT[change](state, header.history)
    tensors.save(kept.path, state, header)
    assert digest(tmp_path / "model", checkpoint=kept)[0] == whole, "nothing of it was taken"
    said = capsys.readouterr().err.splitlines()
    assert said == [f"train: {kept.path} is damaged; training starts anew"]


def test_removing_it_leaves_nothing(kept: Checkpoint, tmp_path: Path) -> None:
    stop_after(1, kept)
    kept.remove()
    kept.remove()
    assert not list(tmp_path.iterdir())


def test_scores_that_are_no_number_come_back(kept: Checkpoint, tmp_path: Path) -> None:
    stop_after(1, kept)
    state, header = tensors.load(kept.path, CheckpointHeader)
    header.history[0].update(loss=math.inf, other=math.nan, none=None)
    tensors.save(kept.path, state, header)
    _, _, reported = digest(tmp_path / "model", checkpoint=kept)
    assert repr(reported[0]) == repr(header.history)


@pytest.mark.parametrize("name", ["described", "small", "record"])
def test_there_is_room_for_what_is_written(kept: Checkpoint, tmp_path: Path, name: str) -> None:
    recipe = parameters.read(ROOT / f"recipes/{name}.yaml")
    shape, epochs = recipe.model, recipe.train.epochs
    network = model.DigitNet(shape.blocks, shape.hidden, shape.dropout, torch.Generator())
    row: Row = dict.fromkeys(["epoch", "learning_rate", "loss", "accuracy", "other"], 1 / 3)
    optimizer = Adam(network.parameters(), recipe.train, 10)
    kept.save(network, optimizer, torch.Generator(), [row] * epochs)
    model.save(tmp_path / "model", network, TRAIN.normalisation)
    written = 2 * kept.path.stat().st_size + (tmp_path / "model").stat().st_size
    assert written < bytes_needed(model.parameter_count(shape), epochs) - 2**19


def test_the_key_is_that_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = key_of(SECTIONS, [TRAIN, VALIDATION], CPU)
    assert one == key_of(SECTIONS, [digits.split(200), VALIDATION], CPU)
    slower = RECIPE.train.model_copy(update={"max_learning_rate": 0.001})
    others = {
        key_of([RECIPE.model, RECIPE.augment, slower], [TRAIN, VALIDATION], CPU),
        key_of(SECTIONS, [VALIDATION, TRAIN], CPU),
        key_of(SECTIONS, [TRAIN, digits.split(50, seed=8)], CPU),
        key_of(SECTIONS, [TRAIN, VALIDATION], torch.device("cuda")),
    }
    (tmp_path / "train.py").write_text("pass")
    monkeypatch.setattr(checkpoint, "CODE", tmp_path)
    others.add(key_of(SECTIONS, [TRAIN, VALIDATION], CPU))
    (tmp_path / "train.py").write_text("pass # changed")
    others.add(key_of(SECTIONS, [TRAIN, VALIDATION], CPU))
    monkeypatch.setattr(checkpoint, "version", lambda package: f"another {package}")
    others.add(key_of(SECTIONS, [TRAIN, VALIDATION], CPU))
    assert len(others - {one}) == 7
