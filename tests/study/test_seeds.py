"""Which seeds are trained, and which rows stay in a table."""

import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from study import seeds
from study.one_seed import COLUMNS, Row, computer, read_rows, train_seed
from study.seeds import in_parallel
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


def test_rows_of_another_recipe_are_marked_and_count_again(table: Path) -> None:
    written = table.read_bytes()
    before = read_rows(table)
    after = study(table, recipe=changed(RECIPE, "model", dropout=0.1))
    assert after["seed"].tolist() == [0, 1, 2]
    assert set(after["fingerprint"]).isdisjoint(before["fingerprint"])
    assert set(after["model_md5"]).isdisjoint(before["model_md5"])
    assert read_rows(table).equals(after.reset_index(drop=True)), "readers see what counts"
    lines = table.read_text().splitlines()
    assert lines[0].split(",") == [*COLUMNS, "outdated"]
    assert [line.endswith(",yes") for line in lines[1:]] == 3 * [False] + 3 * [True]

    assert study(table)["model_md5"].tolist() == before["model_md5"].tolist(), "and back again"
    assert read_rows(table).equals(before)
    kept = [line for line in table.read_text().splitlines() if not line.endswith(",yes")]
    table.write_text("".join(line.removesuffix(",") + "\n" for line in kept))
    table.write_text(table.read_text().replace(",outdated", ""))
    study(table)
    assert table.read_bytes() == written, "until somebody deletes the marked rows"


def test_a_variant_that_is_no_longer_asked_for_keeps_its_rows(table: Path) -> None:
    row = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + row.replace("tiny,", "tiny: model.dropout=0,") + "\n")
    assert set(read_rows(table)["recipe"]) == {"tiny", "tiny: model.dropout=0"}
    study(table)
    assert set(read_rows(table)["recipe"]) == {"tiny"}
    assert "tiny: model.dropout=0,0," in table.read_text()


BAD = {
    "a seed twice": (lambda lines: [*lines, lines[2]], "line 5: seed 1 of tiny appears twice"),
    "two that count": (
        lambda lines: [*lines, lines[2][:-1] + ("0" if lines[2][-1] != "0" else "1")],
        "line 5: seed 1 of tiny appears twice",
    ),
    "a conflict": (
        lambda lines: [*lines[:2], "<<<<<<< HEAD", lines[2], "=======", ">>>>>>> x", lines[3]],
        "line 3: a merge has left its conflict here",
    ),
    "accuracy": (lambda lines: [lines[0], cell(lines[1], 2, "7.5")], "line 2: accuracy is '7.5'"),
    "empty": (lambda lines: [lines[0], cell(lines[1], 2, "")], "line 2: accuracy is ''"),
    "not finite": (lambda lines: [lines[0], cell(lines[1], 3, "nan")], "line 2: loss is 'nan'"),
    "seed": (lambda lines: [lines[0], cell(lines[1], 1, "-1")], "line 2: seed is '-1'"),
    "md5": (lambda lines: [lines[0], cell(lines[1], 6, "x")], "line 2: model_md5 is 'x'"),
    "short": (
        lambda lines: [lines[0], lines[1].rpartition(",")[0]],
        "fingerprint: missing",
    ),
    "long": (lambda lines: [lines[0], lines[1] + ",more"], "line 2: more: unknown key"),
    "cut": (lambda lines: [lines[0][:20]], "columns are "),
}


def cell(line: str, place: int, value: str) -> str:
    cells = line.split(",")
    return ",".join([*cells[:place], value, *cells[place + 1 :]])


@pytest.mark.parametrize("change", BAD)
def test_a_table_that_cannot_be_right_is_refused(table: Path, change: str) -> None:
    damage, message = BAD[change]
    table.write_text("\n".join(damage(table.read_text().splitlines())) + "\n")
    before = table.read_bytes()
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read_rows(table)
    assert "\n" not in str(error.value)
    if change != "two that count":  # the study knows which of them does
        with pytest.raises(UserError, match=re.escape(message)):
            study(table)
        assert table.read_bytes() == before


def test_a_recipe_that_cannot_be_trained_is_named(table: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(UserError, match=r"^tiny: params.yaml: train.pct_start is 1e-06"):
        study(table, recipe=changed(RECIPE, "train", pct_start=1e-6))
    assert table.read_bytes() == before


def test_a_table_with_other_columns_is_refused(table: Path) -> None:
    pd.read_csv(table).rename(columns={"fingerprint": "identity"}).to_csv(table, index=False)
    with pytest.raises(UserError, match=r"tiny.csv: columns are .*'identity'.*restore it with git"):
        study(table)


def test_an_address_where_something_else_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UserError, match=f"'{address}': something answers there, but no Ray"):
            list(in_parallel([("tiny", RECIPE)], TRAIN, SCORED))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "Connection refused"),
        ("127.0.0.1:99999", "out of range"),
        ("nonsense", ""),
        ("host:port:more", ""),
    ],
)
def test_an_address_without_a_cluster_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    begin = time.monotonic()
    with pytest.raises(UserError, match=f"RAY_ADDRESS is '{address}': .*{reason}"):
        list(in_parallel([("tiny", RECIPE)], TRAIN, SCORED))
    assert time.monotonic() - begin < 30
