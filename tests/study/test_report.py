"""The tables and the plot are those of the files."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from stages.lib import parameters
from stages.lib.errors import UserError
from study import report
from study.seeds import COLUMNS
from tests.project import ROOT

RESULTS = {
    name: {
        "n": 3, "mean": mean, "sd": 0.0004, "mean_low": mean - 0.001, "mean_high": mean + 0.001,
        "min": mean - 0.0004, "max": mean + 0.0004, "parameters": 15578, "epochs": 19,
        "images": 60000, "accuracies": {"0": mean - 0.0004, "1": mean, "2": mean + 0.0004},
    }
    for name, mean in (("low", 0.992), ("high", 0.995))
}  # fmt: skip


def test_the_readme_has_the_table_of_the_files() -> None:
    expected = report.readme(report.read(), report.read_rows(report.SCREEN))
    assert report.README.read_text() == expected, "run `python -m study.report`"


def test_the_document_has_the_table_of_the_files() -> None:
    expected = report.document(report.read_rows(report.SCREEN))
    assert report.RECIPES.read_text() == expected, "run `python -m study.report`"


def test_the_plot_is_that_of_the_files() -> None:
    assert report.PLOT.read_bytes() == report.picture(report.read())


def test_the_summaries_for_the_card_are_those_of_the_files() -> None:
    kept = json.loads(report.SUMMARIES.read_text())
    assert kept == report.summaries(report.read()), "run `python -m study.report`"
    assert list(kept) == list(report.read())
    for name, found in kept.items():
        whole = json.loads((report.RESULTS / f"{name}.json").read_text())
        assert {*whole} - {*found} == {"accuracies"}
        assert found.items() <= whole.items()


def test_a_row_says_what_its_file_says() -> None:
    rows = report.table(RESULTS).splitlines()
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    for text in ("recipes/low.yaml", "15,578", "60,000", "**99.200**", "99.100 to 99.300"):
        assert text in rows[2]


def test_a_change_is_compared_with_its_recipe() -> None:
    accuracies = {"a": [0.990, 0.991, 0.992], "a: model.dropout=0": [0.993, 0.995, 0.997]}
    rows = pd.DataFrame(
        [
            {"recipe": name, "seed": seed, "accuracy": value, "loss": 0.5, "train_accuracy": 1.0}
            for name, values in accuracies.items()
            for seed, value in enumerate(values)
        ],
        columns=COLUMNS,
    )
    lines = report.screen_table(rows).splitlines()
    assert lines[2] == "| `a` | 3 | 99.100 |  | 0.5000 | 100.00 |"
    # standard error sqrt((0.01 + 0.04) / 3) = 0.1291, 2.941 degrees of freedom, t 3.219
    assert lines[3] == (
        "| `a`: `model.dropout=0` | 3 | 99.500 | +0.400 (-0.016 to +0.816) | 0.5000 | 100.00 |"
    )


def test_a_file_without_markers_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("no markers")
    with pytest.raises(UserError, match="expected the lines"):
        report.insert(file, {report.BEGIN: "table"})
    file.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    found = report.insert(file, {report.BEGIN: "new"})
    assert found.startswith("above\n")
    assert found.endswith("below\n")
    assert "new" in found
    assert "old" not in found
    file.write_text(found)
    assert report.insert(file, {report.BEGIN: "new"}) == found


def test_every_departure_of_the_tuned_recipe_is_measured() -> None:
    lines = report.departures(report.read_rows(report.SCREEN))
    described, tuned = (
        parameters.read(ROOT / f"recipes/{name}.yaml").model_dump()
        for name in ("described", "tuned")
    )
    differing = {
        f"{section}.{key}"
        for section, values in tuned.items()
        for key, value in values.items()
        if value != described[section][key]
    }
    assert set(re.findall(r"`([\w.]+)`", lines)) == differing - {"preprocess.validation_size"}
