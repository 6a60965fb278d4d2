"""How the tables put results."""

import re
from pathlib import Path

import pandas as pd
import pytest

from digits.core import config
from digits.core.errors import UserError
from study import report
from study.one_seed import COLUMNS, read_rows
from tests.project import ROOT


def test_a_row_holds_what_its_summary_holds() -> None:
    summary = {
        "n": 3, "mean": 0.992, "sd": 0.0004, "mean_low": 0.991, "mean_high": 0.993, "min": 0.9916,
        "max": 0.9924, "parameters": 15578, "epochs": 19, "images": 60000,
    }  # fmt: skip
    header, _, row = report.recipe_table({"low": summary}).splitlines()
    assert header.count("|") == row.count("|")
    for text in ("recipes/low.yaml", "15,578", "60,000", "**99.200**", "99.100 to 99.300"):
        assert text in row


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
    # pairs differ by 0.3, 0.4, 0.5: standard error 0.1 / sqrt(3), 2 degrees of freedom, t 4.303
    assert lines[3] == (
        "| `a`: `model.dropout=0` | 3 | 99.500 | +0.400 (+0.152 to +0.648) | 0.5000 | 100.00 |"
    )


def test_a_table_goes_between_its_markers(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("no markers")
    with pytest.raises(UserError, match="expected the lines"):
        report.insert(file, {report.BEGIN: "table"})
    file.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    text = report.insert(file, {report.BEGIN: "new"})
    assert text == f"above\n{report.BEGIN}\n\nnew\n\n{report.END}\nbelow\n"
    file.write_text(text)
    assert report.insert(file, {report.BEGIN: "new"}) == text


def test_every_departure_of_the_tuned_recipe_is_measured() -> None:
    table = report.departures(read_rows(report.SCREEN))
    described, tuned = (
        config.read(ROOT / f"recipes/{name}.yaml").model_dump() for name in ("described", "tuned")
    )
    differing = {
        f"{section}.{key}"
        for section, values in tuned.items()
        for key, value in values.items()
        if value != described[section][key]
    }
    assert set(re.findall(r"`([\w.]+)`", table)) == differing - {"preprocess.validation_size"}
