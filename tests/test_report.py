"""What CI says of a pull request, and that a stranger's code cannot make it say more."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.lib import files
from tests.project import ROOT, Project

WORKFLOWS = {
    name: yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    for name in ("report", "comment")
}


def job(name: str) -> dict[str, Any]:
    (found,) = WORKFLOWS[name]["jobs"].values()
    return found


def test_a_report_compares_two_commits(project: Project) -> None:
    metrics = json.loads(project.read("metrics/evaluate.json"))
    old, new = metrics["errors"], metrics["errors"] + 7
    files.write_json(project.path / "metrics/evaluate.json", metrics | {"errors": new})
    project.change("train", weight_decay=0.002)
    project.git("commit", "-qam", "Propose")
    base = project.git("rev-parse", "--short", "HEAD~1").strip()

    said = project.run(".ci/report")

    assert said.startswith(f"## Compared with {base}\n")
    rows = [[cell.strip() for cell in line.split("|")] for line in said.splitlines()]
    assert ["", "params.yaml", "train.weight_decay", "0.0001", "0.002", ""] in rows
    assert ["", "metrics/evaluate.json", "errors", str(old), str(new), "7", ""] in rows
    assert "not committed" not in said
    assert "Learning curves" in (project.path / "dvc_plots/index.html").read_text()

    project.change("train", weight_decay=0.003)
    said = project.run(".ci/report", "HEAD")
    assert "No metrics differ." in said
    assert said.splitlines()[-1].split() == ["M", "params.yaml"]


def test_a_report_on_an_unknown_commit_says_so(project: Project) -> None:
    said = project.run(".ci/report", "nothing", fails=True)
    assert said.startswith("error: nothing: no such commit")


def keep(folder: Path, report: str) -> str:
    """What comment.yml makes of a report, by the very lines that it runs."""
    (step,) = (step for step in job("comment")["steps"] if "RUN_URL" in step.get("env", {}))
    (folder / "report").mkdir()
    (folder / "report/report.md").write_text(report)
    command = ["bash", "-euo", "pipefail", "-c", step["run"]]
    subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin:/bin", "RUN_URL": "URL"}, check=True)
    return (folder / "comment.md").read_text()


def test_a_table_reaches_the_comment_as_it_is(tmp_path: Path) -> None:
    table = "\n| Path | HEAD~1 |\n|------|----|\n| metrics/train.json | -1e-05 |\n"
    assert keep(tmp_path, table) == table.replace("~", "") + "\n\nPlots and log: URL\n"


@pytest.mark.parametrize(
    "hostile",
    [
        "[click](https://example.com)",
        "https://example.com www.example.com wwwwww..example.com WWW.example.com",
        "![image](http://127.0.0.1/x.png)",
        "@everyone #1 <script>alert(1)</script> <!-- -->",
        "`$(id)` ${{ github.token }} \x1b[31m \x00",
    ],
)
def test_nothing_but_plain_words_reaches_the_comment(tmp_path: Path, hostile: str) -> None:
    said = keep(tmp_path, hostile).partition("\n\nPlots and log")[0]
    assert not re.search(r"[^A-Za-z0-9_./ |+,\n-]|https?:|www\.", said, re.IGNORECASE)


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


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_and_no_event_is_pasted_into_a_shell(name: str) -> None:
    text = (ROOT / f".github/workflows/{name}.yml").read_text()
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    for step in job(name)["steps"]:
        assert "${{" not in step.get("run", ""), step
        assert step.get("with", {}).get("persist-credentials", False) is False
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
