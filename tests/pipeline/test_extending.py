"""The diffs of docs/extending.md apply, do what they say, and cost no more files than promised."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests import drawn
from tests.project import ROOT, Project

PAGE = (ROOT / "docs/extending.md").read_text()
DIFFS = re.findall(r"^## (.*?)\n.*?^```diff\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
AT_MOST = {
    "An augmentation parameter": 4,
    "A metric": 2,
    "A stage": 4,
    "A layer type": 3,
    "A data set of the same shape": 2,
}
FINGERPRINT = """
from pathlib import Path
from digits.core import config
from study.one_seed import fingerprint
from tests import drawn
recipe = config.read(Path("params.yaml"))
print(fingerprint(recipe, drawn.split(200), drawn.split(50, seed=1)))
"""


def test_each_change_touches_as_few_files_as_promised() -> None:
    touched = {title: diff.count("diff --git ") for title, diff in DIFFS}
    assert touched.keys() == AT_MOST.keys()
    assert all(touched[title] <= AT_MOST[title] for title in touched)
    stated = re.findall(r"^\| \[(.*?)\]\(.*?\) \| (\d) \|$", PAGE, re.MULTILINE)
    assert {title.capitalize(): int(count) for title, count in stated} == {
        title.capitalize(): count for title, count in touched.items()
    }


@pytest.mark.parametrize(("title", "diff"), DIFFS, ids=[title for title, _ in DIFFS])
def test_each_diff_applies(title: str, diff: str, reproduced: Project, tmp_path: Path) -> None:
    path = tmp_path / "diff"
    path.write_text(diff)
    reproduced.git("apply", "--check", str(path))


@pytest.mark.slow
def test_the_pipeline_runs_with_all_of_them(project: Project, tmp_path: Path) -> None:
    before = project.run(sys.executable, "-c", FINGERPRINT)
    letters = tmp_path / "letters"
    digests = drawn.write_idx(letters, alphabet="ABCDEFGHIJ")
    for number, (_, diff) in enumerate(DIFFS):
        for place, digest in enumerate(digests.values(), start=1):
            diff = diff.replace(f'"{place:064}"', f'"{digest}"')
        path = tmp_path / f"{number}.diff"
        path.write_text(diff.replace("https://example.com/letters", str(letters)))
        project.git("apply", str(path))
    assert project.run(sys.executable, "-c", FINGERPRINT) == before, "an augmentation that is off"

    project.change("download", source="letters", files=None)
    project.change("model", blocks=[4, "average", 4, "pool"])
    project.change("augment", noise=0.3)
    project.dvc("repro")

    assert "Letters A to J" in project.read("models/README.md").decode()
    assert "noise ±30 %" in project.read("models/README.md").decode()
    metrics = json.loads(project.read("metrics/evaluate.json"))
    assert metrics["details"][0]["dataset"] == "letters"
    assert metrics["accuracy"] <= metrics["top2_accuracy"] <= 1
    assert 0 < json.loads(project.read("metrics/confidence.json"))["right"] <= 1
    added = re.findall(r"^\+\+\+ b/(tests/unit/.*)$", PAGE, re.MULTILINE)
    assert len(added) == 3
    project.run(sys.executable, "-m", "pytest", "-n0", "-q", *added)
