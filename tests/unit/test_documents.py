"""Numbers, paths, commands, messages and code in the documents are those of the files."""

import ast
import csv
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from digits.core import config, files
from digits.export.onnx_file import encode, operations_of
from digits.network import model_file
from digits.network.digitnet import DigitNet
from study import compare
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import seeded
from tests.unit.test_repository import CODE, committed

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
each_document = pytest.mark.parametrize("name", DOCUMENTS)


def code_in(text: str) -> str:
    """Blocks of code, then what stands between backticks, one a line; diffs aside."""
    blocks = [block for kind, block in BLOCK.findall(text) if kind != "diff"]
    return "\n".join(blocks + re.findall(r"`([^`]+)`", BLOCK.sub("", text)))


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


def percents(*shares: float) -> set[str]:
    return {f"{100 * share:.2f}" for share in shares}


def test_numbers_are_those_of_the_metrics_and_of_the_study() -> None:
    readme, results, model = (
        numbers_in(DOCUMENTS[name]) for name in ("README.md", "docs/results.md", "docs/model.md")
    )
    test, export = (json.loads(committed(f"metrics/{n}.json")) for n in ("evaluate", "export"))
    test, export = test | test["details"][0], export["details"][0]
    assert percents(test["accuracy"], test["accuracy_low"], test["accuracy_high"]) <= readme
    assert {f"{test['examples']:,}", f"{test['parameters']:,}"} <= readme

    assert export["float32_same_digits"] == export["examples"] == 10_000
    assert export["int8_accuracy"] >= export["float32_accuracy"] - 0.0002
    sizes = {f"{export[f'{kind}_bytes'] / 1000:.0f}" for kind in ("int8", "float32")}
    assert sizes | percents(export["int8_accuracy"]) | {f"{export['int8_same_digits']:,}"} <= model

    summaries = json.loads((ROOT / "metrics/study.json").read_text())
    means = [each["mean"] for each in summaries.values()]
    assert (
        percents(*means, summaries["tuned"]["mean_low"], summaries["tuned"]["mean_high"]) <= readme
    )
    errors = [math.sqrt(mean * (1 - mean) / 10_000) for mean in means]
    spreads = [each["sd"] for each in summaries.values()]
    assert percents(min(spreads), max(spreads), min(errors), max(errors)) <= results
    described = json.loads((ROOT / "metrics/study/described.json").read_text())["accuracies"]
    assert max(described.values()) < 0.9943, "the README says that no seed reaches it"

    measured = numbers_in((ROOT / "tools/benchmarks/results.md").read_text())
    rounded = {f"{float(number.replace(',', '')):.1f}" for number in measured}
    assert {*re.findall(r"(\d+\.\d) s\b", DOCUMENTS["README.md"])} <= rounded

    with (ROOT / "tools/benchmarks/times.csv").open() as file:
        medians = {row["median"] for row in csv.DictReader(file)}
    told = {*re.findall(r"(\d+\.\d+) s\b", DOCUMENTS["docs/recipes.md"])}
    assert told
    assert told <= medians


def test_a_comparison_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(DOCUMENTS.values())
    commands = re.findall(r"^\$ (python -m study\.compare .*)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        monkeypatch.setattr(sys, "argv", command.split()[2:])
        compare.main()
        assert f"$ {command}\n{capsys.readouterr().out}```" in text


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


# what git does not have, and a user's own
ELSEWHERE = (
    ".git/", "checkpoints/", "dvc_plots/", "data/", "models/", "demo/site/", ".venv/",
    ".dvc/config.local", ".dvc/tmp/", "scans/", "USER/",
)  # fmt: skip


@each_document
def test_links_paths_and_commands_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", BLOCK.sub("", DOCUMENTS[name])):
        target, _, anchor = link.partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), link
        assert not anchor or anchor in anchors(path.read_text()), link
    code = code_in(DOCUMENTS[name])
    for path in re.findall(r"(?<![\w/~.@])((?:\.?\w[\w.-]*/)+[\w.-]*)(?=\s|:|$)", code):
        assert path.startswith(ELSEWHERE) or (ROOT / path).exists(), path
    for target in re.findall(r"(?:^|&& |\$ )make ([a-z][a-z-]*)", code, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
    for module in re.findall(r"python -m ([\w.]+)", code):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def messages(cell: str) -> list[str]:
    """The messages in a cell that holds nothing else, without backticks."""
    whole = re.fullmatch(r"`[^`]+`(?:(?:, |\w+)`[^`]+`)*", cell)
    return [part.replace("`", "") for part in cell.split("`, `")] if whole else []


def fragments(message: str) -> list[str]:
    """What is left of a message without names, numbers and what it leaves out."""
    parts = re.split(r"\.{3}|'[^']*'|[;:]|\S*[./\d]\S*", message)
    return [part.strip(" ,?") for part in parts if len(part.strip(" ,?")) > 3]


def text_of(node: ast.AST) -> str:
    """A string of the code, with a mark for each value that is inserted."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text_of, node.values))
    return node.value if isinstance(getattr(node, "value", None), str) else "\0"


# of the shell, of git and of DVC
FOREIGN = re.compile(
    "not found$|No such file or directory$|is not in struct$|^Unable to acquire lock|^is busy, |"
    "validation failed$|is corrupted$|dubious ownership|not owned by current user$|"
    "marked as unmanaged$|no remote specified$"
)


def test_messages_to_look_up_are_those_of_the_code() -> None:
    nodes = [node for text in CODE.values() for node in ast.walk(ast.parse(text))]
    code = "\n".join([*map(text_of, nodes), MAKEFILE]).replace("`", "")
    cells = re.findall(r"^\| (.*?) \| ", DOCUMENTS["docs/troubleshooting.md"], re.MULTILINE)
    listed = [message for cell in cells for message in messages(cell)]
    own = [message for message in listed if not FOREIGN.search(message)]
    assert len(own) > 8
    for message in own:
        assert fragments(message), message
        assert all(fragment in code for fragment in fragments(message)), message


@pytest.mark.parametrize("name", ["README.md", "docs/model.md"])
def test_python_in_a_document_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = DigitNet(config.read(ROOT / "recipes/tuned.yaml").model, seeded()).eval()
    normalisation = drawn.split(0).normalisation
    monkeypatch.chdir(tmp_path)
    model_file.save(Path("models/model.safetensors"), network, normalisation)
    files.write(Path("models/model.onnx"), encode(operations_of(network), normalisation))
    blocks = [block for kind, block in BLOCK.findall(DOCUMENTS[name]) if kind == "python"]
    assert blocks
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        images, logits = torch.as_tensor(names["images"]), torch.as_tensor(names["logits"])
        expected = model_file.classify(network, images, normalisation)
        assert torch.allclose(logits, expected, atol=1e-4)


def test_the_table_of_guarantees_is_that_of_the_marks() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "tests/faults"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    collected = Counter(line.partition("[")[0] for line in done.stdout.splitlines())
    promised = []
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            for mark in getattr(node, "decorator_list", []):
                if ast.unparse(mark).startswith("pytest.mark.promise("):
                    test = f"{path.relative_to(ROOT)}::{node.name}"
                    times = {each.arg: ast.literal_eval(each.value) for each in mark.keywords}
                    count = times["thorough"] * collected[test]
                    promised.append((ast.literal_eval(mark.args[0]), test, f"{count:,}"))
    row = re.compile(r"^\| (.*) \| `(tests/faults/\w+\.py::\w+)` \| ([\d,]+) \|$", re.MULTILINE)
    assert len(promised) > 10
    assert sorted(row.findall(DOCUMENTS["docs/guarantees.md"])) == sorted(promised)
