"""Which seeds are trained, and which rows stay in a table."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from study import seeds
from study.one_seed import Row, computer, train_seed
from study.seeds import COLUMNS
from tests.study.tiny import RECIPE, SCORED, TRAIN, changed


def one_after_the_other(
    jobs: Sequence[tuple[str, Config]], train: Split, scored: Split, show: Callable[[str], object]
) -> Iterator[Row]:
    for name, recipe in jobs:
        yield train_seed(name, recipe, train, scored, computer("cpu"))


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "in_parallel", one_after_the_other)


def study(table: Path, count: int = 3, recipe: Config = RECIPE) -> pd.DataFrame:
    return seeds.Study({"tiny": recipe}, TRAIN, SCORED, table).rows(range(count))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of three seeds."""
    path = tmp_path / "tiny.csv"
    study(path)
    return path


def test_every_seed_has_a_row_and_they_differ(table: Path) -> None:
    rows = pd.read_csv(table)
    assert list(rows.columns) == COLUMNS
    assert rows["seed"].tolist() == [0, 1, 2]
    assert rows["fingerprint"].nunique() == 1
    assert rows["model_md5"].nunique() == 3


def test_only_missing_seeds_are_trained(table: Path) -> None:
    whole = pd.read_csv(table)
    marked = whole.assign(train_loss=whole["train_loss"].where(whole["seed"] != 0, 123.0))
    marked[marked["seed"] != 1].to_csv(table, index=False)
    study(table)
    rows = pd.read_csv(table)
    assert rows["train_loss"][0] == 123, "seed 0 was not trained again"
    assert rows.iloc[1:].equals(whole.iloc[1:]), "seed 1 was, and is the same"


def test_fewer_seeds_leave_the_rows_of_the_others(table: Path) -> None:
    whole = pd.read_csv(table)
    whole[whole["seed"] != 1].to_csv(table, index=False)
    assert study(table, count=2)["seed"].tolist() == [0, 1]
    assert pd.read_csv(table).equals(whole)


def test_rows_of_another_recipe_are_not_used(table: Path) -> None:
    before = pd.read_csv(table)
    study(table, recipe=changed(RECIPE, "model", dropout=0.1))
    after = pd.read_csv(table)
    assert after["seed"].tolist() == [0, 1, 2]
    assert set(after["fingerprint"]).isdisjoint(before["fingerprint"])
    assert set(after["model_md5"]).isdisjoint(before["model_md5"])


def test_a_recipe_that_cannot_be_trained_is_named(table: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(UserError, match=r"^tiny: params.yaml: train.pct_start is 1e-06"):
        study(table, recipe=changed(RECIPE, "train", pct_start=1e-6))
    assert table.read_bytes() == before


def test_a_table_with_other_columns_is_refused(table: Path) -> None:
    pd.read_csv(table).rename(columns={"fingerprint": "identity"}).to_csv(table, index=False)
    with pytest.raises(UserError, match=r"tiny.csv: columns are .*'identity'.*restore it with git"):
        study(table)
