"""The benchmarks measure what they say; no test looks at a time."""

import re
import resource
import sys
from pathlib import Path

import pytest

from tests.project import ROOT
from tools.benchmarks import bench, tables
from tools.benchmarks.kernels import RECIPES, convolutions, network_of
from tools.benchmarks.measure import PINNED, Command, Run, plain, run


def test_the_plain_script_runs_with_every_instruction_of_the_processor() -> None:
    code = "import os, sys, json, tools.benchmarks.plain_script\n"
    code += "print(json.dumps({'digits': 'digits' in sys.modules, **dict.fromkeys(os.environ, 1)}))"
    command = plain(0, 0)
    printed = run((*command[: command.index(sys.executable)], sys.executable, "-c", code)).printed
    assert not printed.pop("digits")
    assert not {*printed} & {*PINNED}
    assert {*PINNED} == {
        *re.findall(r'os\.environ\["(\w+)"\]', (ROOT / "digits/__init__.py").read_text())
    }


def test_a_command_that_fails_is_reported_with_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="no such arm"):
        run((sys.executable, "-c", "raise SystemExit('no such arm')"))


def test_memory_is_that_of_the_command_and_not_of_what_starts_it() -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 100 * 2**10
    assert run((sys.executable, "-c", "pass")).peak < 100


def test_every_table_is_made_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With measurements that are made up."""
    shapes = {each: None for path in RECIPES for each in convolutions(network_of(path))}
    speeds = {
        f"{who}, {direction}, {each}": 50.0
        for who in ("ours", "oneDNN")
        for direction in ("forward", "gradient by weights", "gradient by input")
        for each in shapes
        if each.inputs > 1 or direction != "gradient by input"
    }
    printed = {"ceiling": 100.0, "copy": 10.0, **speeds}
    printed |= {"seconds": 2.0, "images": 15_000, "accuracy": 0.99}

    def measured(command: Command, cwd: Path = ROOT) -> Run:
        return Run(printed, 4.0, 500.0)

    monkeypatch.setattr("tools.benchmarks.measure.run", measured)
    monkeypatch.setattr(tables, "run", measured)
    monkeypatch.setattr("shutil.copytree", lambda *_: None)
    files = bench.results(quick=False)
    assert files["roofline.png"].startswith(b"\x89PNG")
    text = files["results.md"].decode()
    assert re.findall(r"^## (\d)\.", text, re.MULTILINE) == [*"1234567"]
    assert "**50 %** by ours and **50 %** by oneDNN" in text
    assert "| ours | 2.00 | 2.00 | 2.00 |" in text
    assert "| 24→22 @ 7, forward | 50.0 |" in text
    assert "| mean accuracy, % | sd |" in tables.accuracy(1, 1, 2)
    rows = tables.to_the_end(["tiny"], 1, 1, 5)["times.csv"].decode().splitlines()
    assert rows[1:] == ["tiny,2.00,2.00,2.00", "one epoch of the plain script,2.00,2.00,2.00"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_convolutions_are_those_of_the_network(recipe: Path) -> None:
    weights = [each for each in network_of(recipe).parameters() if each.ndim == 4]
    assert [(o, i) for i, o, *_ in convolutions(network_of(recipe))] == [
        tuple(each.shape[:2]) for each in weights
    ]
