"""Workflows on GitHub may only read, cannot be steered from outside, and call what exists."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.project import ROOT
from tests.unit.test_repository import committed

WORKFLOWS = {path.name: path.read_text() for path in (ROOT / ".github/workflows").glob("*.y*ml")}
WRITES = "comment.yml"  # posts the report; tests/pipeline/test_report.py looks closer
CHECKOUT = "      - uses: actions/checkout@" + 40 * "0" + "  # v1.2.3\n"
GOOD = f"""
on: [push]
permissions: {{contents: read}}
jobs:
  test:
    timeout-minutes: 5
    steps:
{CHECKOUT}        with: {{persist-credentials: false}}
      - run: make test
"""


def faults(text: str) -> list[str]:
    """What is wrong with a workflow."""
    workflow: dict[Any, Any] = yaml.safe_load(text)
    jobs = workflow["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    uses = re.findall(r"^.*\buses:.*$", text, re.MULTILINE)
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    problems = {
        "permissions: more than reading": workflow.get("permissions")
        not in ({}, {"contents": "read"}),
        "on: runs strangers' code with this repository's rights": {
            "pull_request_target",
            "workflow_run",
        }.intersection(workflow[True]),  # YAML reads `on` as true
        "uses: not pinned by a commit, with its version as a comment": not all(
            re.search(r"uses: [\w./-]+@[0-9a-f]{40} +# v\d+(\.\d+)+$", line) for line in uses
        ),
        "permissions: of a job": any("permissions" in job for job in jobs),
        "timeout-minutes: missing": not all("timeout-minutes" in job for job in jobs),
        "run: an expression becomes part of a script; pass it as env": any(
            "${{" in step.get("run", "") for step in steps
        ),
        "persist-credentials: left for later steps": not all(
            step.get("with", {}).get("persist-credentials") is False for step in checkouts
        ),
    }
    return [problem for problem, is_so in problems.items() if is_so]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_pinned_and_may_do_little(name: str) -> None:
    problems = [problem.partition(":")[0] for problem in faults(WORKFLOWS[name])]
    assert problems == (["on", "permissions"] if name == WRITES else [])
    if name == WRITES:  # it may write, so it has no code to run but its own
        assert "pull-requests: write" in WORKFLOWS[name]
        assert "actions/checkout" not in WORKFLOWS[name]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("@" + 40 * "0" + "  # v1.2.3", "@v1", "uses: not pinned"),
        ("contents: read", "contents: write", "permissions: more than reading"),
        ("contents: read", "contents: read, id-token: write", "permissions: more than reading"),
        ("    timeout-minutes: 5", "    permissions: {contents: write}", "permissions: of a job"),
        ("    timeout-minutes: 5\n", "", "timeout-minutes: missing"),
        ("on: [push]", "on: [pull_request_target]", "on: runs strangers' code"),
        ("make test", "echo ${{ github.event.issue.title }}", "run: an expression"),
        ("false", "true", "persist-credentials"),
    ],
)
def test_a_bad_workflow_is_noticed(old: str, new: str, fault: str) -> None:
    assert faults(GOOD) == []
    assert old in GOOD
    assert any(each.startswith(fault) for each in faults(GOOD.replace(old, new)))


def test_the_pythons_are_the_oldest_a_recent_one_and_the_committed_one() -> None:
    jobs = yaml.safe_load(WORKFLOWS["test.yml"])["jobs"]
    oldest, recent = jobs["test"]["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert recent != oldest
    python = json.loads(committed("metrics/environment.json"))["details"][0]["python"]
    steps = jobs["reproduce"]["steps"]
    assert {"python-version": python} in [step.get("with") for step in steps]
    assert {"run": ".ci/run"} in steps


def test_the_ci_script_runs_every_test_and_calls_only_what_exists() -> None:
    script, makefile = ((ROOT / name).read_text() for name in (".ci/run", "Makefile"))
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)
    text = "\n".join([script, *WORKFLOWS.values()])
    targets = " ".join(re.findall(r"^ *(?:- run: )?make ([a-z -]+)", text, re.MULTILINE)).split()
    assert {"setup", "lint", "test-all"} <= {*targets}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\b(?:tests|tools)/[\w/.]+", script):
        assert (ROOT / path).exists(), path
