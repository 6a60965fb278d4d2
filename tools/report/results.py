"""The results in this folder and those of the newest commit with different ones.

DVC fills the templates in .dvc/plots with the rows of both, which makes them Vega-Lite specs. The
column `rev` is "now" for this folder and "before: COMMIT" for the commit.
"""

import json
import subprocess
import sys
from typing import Any

from digits.core.errors import UserError
from stages import paths

TABLES = [paths.CURVES, paths.CONFUSION, paths.CLASSES, paths.RELIABILITY]

Spec = dict[str, Any]  # a Vega-Lite plot with its rows
Changes = dict[str, dict[str, dict[str, Any]]]  # by file and name: old, new, and diff of numbers


def dvc(*arguments: str) -> Any:
    """Output of a dvc command with --json.

    Raises:
        UserError: dvc failed; the message is its own.
    """
    command = [sys.executable, "-m", "dvc", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"`dvc {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def git(*arguments: str) -> str:
    """Output of a git command; empty if it fails."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout


def require_results() -> None:
    """Raise a UserError that names the first file that is missing or empty."""
    for path in (paths.TEST_METRICS, paths.TRAIN_METRICS, paths.DATA, *TABLES):
        if not path.is_file():
            raise UserError(f"{path}: no such file; `make repro` makes it")
    for table in TABLES:
        if len(table.read_text().splitlines()) < 2:
            raise UserError(f"{table}: has no rows; `git checkout {table}` or `make repro`")


def earlier_commit() -> str | None:
    """The newest commit whose metrics differ from those in this folder, if there is one."""
    now = paths.TEST_METRICS.read_text()
    for commit in git("log", "--format=%h", "--", str(paths.TEST_METRICS)).split():
        if git("show", f"{commit}:./{paths.TEST_METRICS}") not in ("", now):
            return commit
    return None


def history(most: int = 30) -> list[list[str]]:
    """Commit, date, accuracy, errors, parameters and subject of each commit with a new result.

    The newest first, and at most so many: reading one takes a git process.
    """
    rows: list[list[str]] = []
    log = git("log", f"-{most}", "--format=%h%x09%cs%x09%s", "--", str(paths.TEST_METRICS))
    for commit, date, subject in (line.split("\t", 2) for line in log.splitlines()):
        try:
            metrics = json.loads(git("show", f"{commit}:./{paths.TEST_METRICS}"))
            accuracy = f"{100 * metrics['accuracy']:.2f}"
            counts = [f"{metrics[name]:,}" for name in ("errors", "parameters")]
        except (ValueError, KeyError, TypeError):  # deleted there, or of another layout
            continue
        rows.append([commit, date, accuracy, *counts, subject])
    return rows


def read_changes(earlier: str) -> Changes:
    """Differences in parameters, then in metrics, studies aside; nested names last in a file."""
    params, metrics = (sorted(dvc(kind, "diff", earlier).items()) for kind in ("params", "metrics"))
    return {
        file: dict(sorted(values.items(), key=lambda item: (item[0].count("."), item[0])))
        for file, values in params + metrics
        if not file.startswith("study/")
    }


def read_plots(earlier: str | None) -> dict[str, Spec]:
    """Each table of TABLES by its stem, with rows of this folder and of the earlier commit."""
    names = [str(table) for table in TABLES]
    command = ["diff", earlier, "--targets"] if earlier else ["show"]
    plots = dvc("plots", *command, *names)["data"]
    specs = {table.stem: plots[str(table)][0]["content"] for table in TABLES}
    for spec in specs.values():
        for row in rows_of(spec):
            del row["filename"], row["field"]  # DVC's own columns
            row["rev"] = "now" if row["rev"] == "workspace" else f"before: {row['rev']}"
    return specs


def rows_of(spec: Spec) -> list[dict[str, str]]:
    """The rows of a plot, every value as text."""
    return spec["data"]["values"]


def only_now(spec: Spec) -> Spec:
    """The plot with the rows of this folder only, and nothing that tells revisions apart."""
    rows = [row for row in rows_of(spec) if row["rev"] == "now"]
    values = [{name: row[name] for name in row if name != "rev"} for row in rows]
    return _without_revision({**spec, "data": {}}) | {"data": {"values": values}}


def _without_revision(part: Any) -> Any:
    """Part of a plot without what has the field `rev`; of a facet only its inner `spec` remains."""
    if isinstance(part, dict):
        kept = {key: _without_revision(each) for key, each in part.items() if not _is_rev(each)}
        return kept | kept.pop("spec", {})
    if isinstance(part, list):
        return [_without_revision(each) for each in part if not _is_rev(each)]
    return part


def _is_rev(part: Any) -> bool:
    return isinstance(part, dict) and part.get("field") == "rev"
