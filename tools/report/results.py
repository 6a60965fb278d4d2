"""The results in this folder and those of the newest commit with different ones.

DVC fills the templates in .dvc/plots with the rows of both, which makes them Vega-Lite specs. The
column `rev` is "now" for this folder and "before: COMMIT" for the commit.
"""

import json
import subprocess
import sys
from typing import Any

from scipy import stats

from digits.core import files
from digits.core.errors import UserError
from stages import paths
from tools.git import git

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


def require_results() -> None:
    """Raise a UserError that names the first file that is missing or empty."""
    for path in (paths.TEST_METRICS, paths.TRAIN_METRICS, paths.DATA, *TABLES):
        if not path.is_file():
            raise UserError(f"{path}: no such file; `make repro` makes it")
    for table in TABLES:
        if len(table.read_text().splitlines()) < 2:
            raise UserError(f"{table}: has no rows; `git checkout {table}` or `make repro`")


def earlier_commit() -> str | None:
    """The newest commit with other metrics of the same data as in this folder, if there is one."""
    now, data = paths.TEST_METRICS.read_text(), files.read_metrics(paths.TEST_METRICS)["dataset"]
    for commit in git("log", "--format=%h", "--", str(paths.TEST_METRICS)).split():
        text = git("show", f"{commit}:./{paths.TEST_METRICS}")
        if text != now and metrics_at(commit).get("dataset") == data:
            return commit
    return None


def metrics_at(commit: str) -> dict[str, Any]:
    """The test metrics of a commit, the details among the rest; empty if they cannot be read."""
    try:
        content = json.loads(git("show", f"{commit}:./{paths.TEST_METRICS}"))
        return content | next(iter(content.get("details", [])), {})
    except (ValueError, TypeError, AttributeError):  # deleted there, or of another layout
        return {}


def compare_images(earlier: str) -> dict[str, Any]:
    """How this folder's model and the earlier one read the same test images.

    Returns:
        `mended` and `new`, the numbers of the images that only the earlier or only this one
        misreads; `both`, how many both misread; and `p`, McNemar's exact test: the probability that
        chance shares out the images on which the two differ at least as unevenly. Empty if the
        earlier commit does not say which images it misread, or if it read others.
    """
    now, before = files.read_metrics(paths.TEST_METRICS), metrics_at(earlier)
    if "test_sha256" not in now or now["test_sha256"] != before.get("test_sha256"):
        return {}
    misread, earlier_misread = set[int](now["misread"]), set[int](before["misread"])
    mended, new = sorted(earlier_misread - misread), sorted(misread - earlier_misread)
    differing = len(mended) + len(new)
    p = float(stats.binomtest(len(new), differing).pvalue) if differing else 1.0
    return {"mended": mended, "new": new, "both": len(misread & earlier_misread), "p": p}


def history(most: int = 30) -> list[list[str]]:
    """Commit, date, accuracy, errors, parameters and subject of each commit with a new result.

    The newest first, and at most so many: reading one takes a git process.
    """
    rows: list[list[str]] = []
    log = git("log", f"-{most}", "--format=%h%x09%cs%x09%s", "--", str(paths.TEST_METRICS))
    for commit, date, subject in (line.split("\t", 2) for line in log.splitlines()):
        metrics = metrics_at(commit)
        try:
            accuracy = f"{100 * metrics['accuracy']:.2f}"
            counts = [f"{metrics[name]:,}" for name in ("errors", "parameters")]
        except (ValueError, KeyError, TypeError):
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
