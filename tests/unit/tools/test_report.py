"""The page of results of files that are damaged or have odd names."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from digits.core import files
from digits.core.errors import UserError
from stages import paths
from tests.project import ROOT
from tools.report import results
from tools.report.__main__ import render, variables

ODD = '<img src=x onerror="alert(1)">'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("metrics", "plots"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / paths.PARAMETERS, tmp_path)
    monkeypatch.chdir(tmp_path)


def values() -> dict[str, Any]:
    """What the page shows, of a project with another commit and odd names."""
    row = {"actual": "1", "predicted": "2", "count": "3"}
    specs = {
        "learning_curves": {"data": {"values": [{"epoch": "1", ODD: ODD}]}},
        "confusion": {"data": {"values": [row]}},
        "reliability": {"data": {"values": [{"probability": "0.9", "accuracy": "1.0"}]}},
        "classes": {"data": {"values": [{"class": "1", "error_percent": "1", "errors": "1"}]}},
    }
    shown = variables(None, specs, specs)
    change = {"old": ODD, "new": 2, "diff": 1}
    return shown | {"earlier": "abc", "subject": ODD, "changes": {ODD: {ODD: change}}}


def test_names_are_escaped() -> None:
    page = render(values())
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page


def test_incomplete_metrics_and_empty_tables_are_named() -> None:
    results.require_results()
    metrics = json.loads(paths.TEST_METRICS.read_text())
    del metrics["details"][0]["accuracy_low"]
    paths.TEST_METRICS.write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="metrics/: incomplete: .*'accuracy_low'.*`make repro`"):
        render(values())
    paths.CLASSES.write_text(paths.CLASSES.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="plots/classes.csv: has no rows; "):
        results.require_results()


def commit_metrics(content: dict[str, Any]) -> None:
    files.write_json(paths.TEST_METRICS, content)
    for command in ("init -q", "add metrics", "-c user.name=T -c user.email=t@e commit -qm T"):
        subprocess.run(["git", *command.split()], check=True)


def test_models_are_compared_image_by_image() -> None:
    """The p of 3 mended and 10 new is 2 * sum(comb(13, k) for k in range(4)) / 2**13."""
    before = {"test_sha256": "a", "misread": [1, 2, 3, 50]}
    now = {"test_sha256": "a", "misread": [50, *range(100, 110)]}
    shown = values()
    commit_metrics({"details": [before]})
    files.write_json(paths.TEST_METRICS, {"details": [now]})
    compared = results.compare_images("HEAD")
    assert compared == {
        "mended": [1, 2, 3],
        "new": [*range(100, 110)],
        "both": 1,
        "p": pytest.approx(756 / 8192),
    }
    body = render(shown | {"images": compared})
    assert "3 errors are mended, 10 are new,\nand 1 are in both." in body
    assert "p&nbsp;is 0.092, not significant at the 5\u00a0% level." in body
    assert "Mended: 1, 2, 3.\nNew: 100, 101," in body

    files.write_json(paths.TEST_METRICS, {"details": [before]})
    assert results.compare_images("HEAD") == {"mended": [], "new": [], "both": 4, "p": 1.0}
    files.write_json(paths.TEST_METRICS, {"details": [now | {"test_sha256": "b"}]})
    assert results.compare_images("HEAD") == {}, "of other images"
    commit_metrics({"errors": 3})
    assert results.compare_images("HEAD") == {}, "of a commit before there were such lists"
