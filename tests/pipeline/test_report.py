"""What CI says of a pull request, and that a stranger's code cannot make it say more."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from digits.core import files
from tests import documented
from tests.project import ROOT, make_project

WORKFLOWS = {
    name: yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    for name in ("report", "comment")
}


def job(name: str) -> dict[str, Any]:
    (found,) = WORKFLOWS[name]["jobs"].values()
    return found


def test_a_report_compares_two_commits(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    metrics = json.loads(project.read("metrics/evaluate.json"))
    old, new = metrics["errors"], metrics["errors"] + 7
    files.write_json(project.path / "metrics/evaluate.json", metrics | {"errors": new})
    project.change("train", weight_decay=0.002)
    project.git("commit", "-qam", "Propose")
    base = project.git("rev-parse", "--short", "HEAD~1").strip()

    said = project.run(documented.command(".ci/report"))

    assert said.startswith(f"## Compared with {base}\n")
    rows = [[cell.strip() for cell in line.split("|")] for line in said.splitlines()]
    assert ["", "params.yaml", "train.weight_decay", "0.0001", "0.002", ""] in rows
    assert ["", "metrics/evaluate.json", "errors", str(old), str(new), "7", ""] in rows
    assert "not committed" not in said
    page = project.read("dvc_plots/index.html").decode()
    assert "Learning curves" in page
    assert 'src="vega.js"' not in page, "Vega must be inside: the page is downloaded alone"

    project.change("train", weight_decay=0.003)
    said = project.run(".ci/report", "HEAD")
    assert "No metrics differ." in said
    assert said.splitlines()[-1].split() == ["M", "params.yaml"]

    said = project.run(".ci/report", "nothing", fails=True)
    assert said.startswith("error: nothing: no such commit")


def step(name: str, folder: Path, **environment: str) -> None:
    """Run what a step of comment.yml runs, by how its name begins."""
    (found,) = (each for each in job("comment")["steps"] if each.get("name", "").startswith(name))
    given = {key: value for key, value in found["env"].items() if "${{" not in value}
    path = f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
    command = ["bash", "-euo", "pipefail", "-c", found["run"]]
    subprocess.run(command, cwd=folder, env={"PATH": path} | given | environment, check=True)


def keep(folder: Path, report: str) -> str:
    """What comment.yml makes of a report."""
    (folder / "report").mkdir()
    (folder / "report/report.md").write_text(report)
    step("Make plain text", folder, RUN_URL="URL")
    return (folder / "comment.md").read_text()


BEGIN, END = "<!-- report.yml -->\n```\n", "\n```\n\nPlots and log: URL\n"


def test_a_table_reaches_the_comment_as_it_is(tmp_path: Path) -> None:
    table = (
        "## Compared with 0123abc\n\n| Path | HEAD~1 |\n|---|---|\n| metrics/a.json | -1e-05 |\n"
    )
    assert keep(tmp_path, table) == BEGIN + table + END


@pytest.mark.parametrize(
    "hostile",
    [
        "[click](https://example.com) https://example.com www.example.com",
        "![image](http://127.0.0.1/x.png)",
        "@everyone #1 GH-1 0123456789abcdef0123456789abcdef01234567 owner/name@0123abc",
        "<script>alert(1)</script> <!-- -->",
        "\n```\n@everyone\n~~~\n````\n",
        "`$(id)` ${{ github.token }} \x1b[31m \x00 \r \u202e",
    ],
)
def test_all_that_reaches_the_comment_is_one_block_of_code(tmp_path: Path, hostile: str) -> None:
    said = keep(tmp_path, hostile)
    assert said.startswith(BEGIN)
    assert said.endswith(END)
    block = said.removeprefix(BEGIN).removesuffix(END)
    assert not re.search(r"[^ -_a-~\n]", block), "a backtick ends it, and all else is plain"


GH = f"""#!{sys.executable}
import pathlib, subprocess, sys
given = sys.argv[1:]
if "--jq" in given:
    (address,) = (each for each in given if each.startswith("repos/"))
    answer = open(address.rpartition("/")[2])
    sys.exit(subprocess.run([{shutil.which("jq")!r}, "-r", given[-1]], stdin=answer).returncode)
pathlib.Path("posted").write_text(" ".join(given))
"""
OURS = {"id": 1, "user": {"login": "github-actions[bot]"}, "body": f"{BEGIN}earlier{END}"}
OTHERS = [{**OURS, "id": 2, "body": "other"}, {**OURS, "id": 3, "user": {"login": "stranger"}}]


@pytest.mark.skipif(not shutil.which("jq"), reason="no jq: apt-get install jq")
@pytest.mark.parametrize(
    ("comments", "posted"),
    [
        (OTHERS, "pr comment 7 --body-file comment.md"),
        (
            [OURS, *OTHERS],
            "api --silent --method PATCH repos/me/digits/issues/comments/1 -F body=@comment.md",
        ),
    ],
)
def test_only_the_earlier_comment_is_replaced(
    tmp_path: Path, comments: list[dict[str, Any]], posted: str
) -> None:
    (tmp_path / "pulls").write_text(json.dumps([{"number": 7, "head": {"sha": "abc"}}]))
    (tmp_path / "comments").write_text(json.dumps(comments))
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    step("Post", tmp_path, GH_REPO="me/digits", HEAD="me:branch", HEAD_SHA="abc")
    assert (tmp_path / "posted").read_text() == posted


def test_a_long_report_is_cut_to_what_a_comment_may_hold(tmp_path: Path) -> None:
    assert 40_000 < len(keep(tmp_path, "| a |\n" * 100_000)) < 65_536


def test_code_of_a_pull_request_runs_only_where_nothing_can_be_written() -> None:
    report, comment = WORKFLOWS["report"], WORKFLOWS["comment"]
    assert list(report[True]) == ["pull_request"], "PyYAML reads the key `on` as True"
    assert report["permissions"] == {"contents": "read"}
    assert "permissions" not in job("report")
    assert "secrets" not in json.dumps(job("report"))

    assert list(comment[True]) == ["workflow_run"]
    assert comment[True]["workflow_run"]["workflows"] == [report["name"]]
    assert comment["permissions"] == {}
    assert job("comment")["permissions"] == {"actions": "read", "pull-requests": "write"}
    used = [step["uses"].partition("@")[0] for step in job("comment")["steps"] if "uses" in step]
    assert used == ["actions/download-artifact"], "no checkout"
