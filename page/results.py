"""What is drawn: the results in the folder beside those of the newest commit with others.

DVC fills our templates in .dvc/plots with the rows of both; a template filled so is a Vega-Lite
spec. Rows have a column `rev`, which is "now" for the folder's.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.lib.errors import UserError

METRICS = Path("metrics/evaluate.json")
TRAINING = Path("metrics/train.json")
TABLES = [f"plots/{name}.csv" for name in ("learning_curves", "confusion", "digits")]

Spec = dict[str, Any]
Changes = dict[str, dict[str, dict[str, Any]]]  # by file and name: old, new, diff of a number


def dvc(*arguments: str) -> Any:
    """What a dvc command says with --json.

    Raises:
        UserError: dvc failed; with its own message.
    """
    command = [sys.executable, "-m", "dvc", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"`dvc {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def git(*arguments: str) -> str | None:
    """What a git command says; None if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return None if done.returncode else done.stdout


def earlier_result() -> str | None:
    """The newest commit whose metrics are others than those in the folder; None without one."""
    now = METRICS.read_text()
    for commit in (git("log", "--format=%h", "--", str(METRICS)) or "").split():
        if git("show", f"{commit}:./{METRICS}") not in (None, now):
            return commit
    return None


def changes(kind: str, earlier: str) -> Changes:
    """What differs between the earlier commit and the folder; kind: metrics or params."""
    found: Changes = dvc(kind, "diff", earlier)
    return {file: each for file, each in found.items() if not file.startswith("study/")}


def read_plots(earlier: str | None) -> dict[str, Spec]:
    """By table: its template with the rows of the folder, revision now, and of the earlier commit.

    Raises:
        UserError: a table is missing.
    """
    for table in TABLES:
        if not Path(table).is_file():
            raise UserError(f"{table}: no such file; `make repro` makes it")
    if earlier:
        found = dvc("plots", "diff", earlier, "--targets", *TABLES)
    else:
        found = dvc("plots", "show", *TABLES)
    specs = {table: found["data"][table][0]["content"] for table in TABLES}
    for spec in specs.values():
        for row in rows_of(spec):
            row["rev"] = "now" if row["rev"] == "workspace" else f"before: {row['rev']}"
    return specs


def rows_of(spec: Spec) -> list[dict[str, str]]:
    return spec["data"]["values"]


def alone(spec: Spec) -> Spec:
    """The spec for the folder's rows only: nothing in it tells revisions apart any more."""

    def without_revision(part: Any) -> Any:
        if isinstance(part, dict):
            kept = {key: without_revision(value) for key, value in part.items() if not named(value)}
            return kept | kept.pop("spec", {})
        if isinstance(part, list):
            return [without_revision(value) for value in part if not named(value)]
        return part

    def named(part: Any) -> bool:
        return isinstance(part, dict) and part.get("field") == "rev"

    rows = [row for row in rows_of(spec) if row["rev"] == "now"]
    return without_revision({**spec, "data": {}}) | {"data": {"values": rows}}
