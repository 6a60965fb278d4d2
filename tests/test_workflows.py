"""What runs on GitHub can be read but not written to, and not be steered from outside."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.project import ROOT
from tests.test_repository import committed

WORKFLOWS = {path.name: path.read_text() for path in (ROOT / ".github/workflows").glob("*.y*ml")}
WRITES = "comment.yml"  # posts what report.yml found; tests/test_report.py looks closer
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


def faults(text: str) -> Iterator[str]:
    """What is wrong with a workflow."""
    workflow: dict[Any, Any] = yaml.safe_load(text)
    if workflow.get("permissions") not in ({}, {"contents": "read"}):
        yield "permissions: more than reading"
    if {"pull_request_target", "workflow_run"} & set(workflow[True]):  # YAML reads `on` as true
        yield "on: runs strangers' code with this repository's rights"
    for line in re.findall(r"^.*\buses:.*$", text, re.MULTILINE):
        if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} +# v\d+(\.\d+)+$", line):
            yield "uses: not pinned by a commit, with its version as a comment"
    for job in workflow["jobs"].values():
        yield from faults_of_job(job)


def faults_of_job(job: dict[str, Any]) -> Iterator[str]:
    if "permissions" in job:
        yield "permissions: of a job"
    if "timeout-minutes" not in job:
        yield "timeout-minutes: missing"
    for step in job["steps"]:
        if "${{" in step.get("run", ""):
            yield "run: an expression becomes part of a script; pass it as env"
        kept = step.get("with", {}).get("persist-credentials") is not False
        if step.get("uses", "").startswith("actions/checkout@") and kept:
            yield "persist-credentials: left for later steps"


def test_there_is_one() -> None:
    assert "test.yml" in WORKFLOWS


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_pinned_and_may_do_little(name: str) -> None:
    allowed = [] if name != WRITES else ["on: runs strangers' code", "permissions: of a job"]
    found = list(faults(WORKFLOWS[name]))
    assert [fault for fault in found if not fault.startswith(tuple(allowed))] == []
    assert len(found) == len(allowed)


def test_what_may_write_has_no_code_to_run_but_its_own() -> None:
    assert "pull-requests: write" in WORKFLOWS[WRITES]
    assert "actions/checkout" not in WORKFLOWS[WRITES]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("@" + 40 * "0" + "  # v1.2.3", "@v1", "uses: not pinned"),
        ("  # v1.2.3", "", "uses: not pinned"),
        ("permissions: {contents: read}", "", "permissions: more than reading"),
        ("contents: read", "contents: write", "permissions: more than reading"),
        ("contents: read", "contents: read, id-token: write", "permissions: more than reading"),
        ("    timeout-minutes: 5", "    permissions: {contents: write}", "permissions: of a job"),
        ("    timeout-minutes: 5\n", "", "timeout-minutes: missing"),
        ("on: [push]", "on: [pull_request_target]", "on: runs strangers' code"),
        ("on: [push]", "on: {pull_request_target: }", "on: runs strangers' code"),
        ("make test", "echo ${{ github.event.issue.title }}", "run: an expression"),
        ("false", "true", "persist-credentials"),
    ],
)
def test_a_bad_workflow_is_found(old: str, new: str, fault: str) -> None:
    assert list(faults(GOOD)) == []
    assert old in GOOD
    assert any(found.startswith(fault) for found in faults(GOOD.replace(old, new)))


def test_the_tests_run_on_the_oldest_python_and_a_recent_one() -> None:
    matrix = yaml.safe_load(WORKFLOWS["test.yml"])["jobs"]["test"]["strategy"]["matrix"]
    project = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={matrix["python"][0]}"' in project
    assert "make setup lint test" in WORKFLOWS["test.yml"]


def test_the_pipeline_is_reproduced_with_the_python_that_is_committed() -> None:
    steps = yaml.safe_load(WORKFLOWS["test.yml"])["jobs"]["reproduce"]["steps"]
    python = json.loads(committed("metrics/environment.json"))["python"]
    assert {"python-version": python} in [step.get("with") for step in steps]
    assert {"run": ".ci/run"} in steps
