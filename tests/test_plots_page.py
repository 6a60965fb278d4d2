"""The page of plots in a real browser whose network is cut, and the README's pictures."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from page.results import alone
from page.write import LIBRARY, vega
from stages.lib.confusion import wilson_interval
from tests import readme
from tests.browser import CHROMIUM, chromium
from tests.project import ROOT, Project, make_project
from tests.test_repository import committed

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project's committed results, after a commit with others, and their page."""
    project = make_project(tmp_path_factory.mktemp("page"))
    metrics = project.path / "metrics/evaluate.json"
    now = metrics.read_text()
    metrics.write_text(json.dumps(json.loads(now) | {"accuracy": 0.5, "errors": 5000}))
    project.git("commit", "-aqm", "Know <half> & no more")
    metrics.write_text(now)
    project.git("commit", "-aqm", "Know more")
    project.run("python", "-m", "page.write")
    return project


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def look(browser: Browser, path: Path, width: int, colours: str) -> tuple[list[str], dict]:
    """What went wrong or was asked of a network, and what the page came to."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=colours, offline=True
    )
    context.set_default_timeout(120_000)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda sent: sent.url.startswith(("file:", "data:", "blob:")) or wrong.append(sent.url),
    )
    page.goto(path.as_uri())
    page.wait_for_function(
        "plots.length && plots.every(({place}) => document.querySelector(`${place} svg`))"
    )
    found = page.evaluate("""() => ({
        marks: plots.map(({place}) =>
            document.querySelectorAll(`${place} svg .role-mark path, ${place} svg .role-mark text`)
                .length),
        room: [document.documentElement.scrollWidth, innerWidth],
        loaded: [...document.images].every((image) => image.naturalWidth > 0),
        named: [...document.images].every((image) => image.alt),
        drawn: plots.map(({place}) =>
            getComputedStyle(document.querySelector(`${place} svg`)).backgroundColor),
    })""")
    context.close()
    return wrong, found


@needs_browser
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_needs_no_network(
    results: Project, browser: Browser, width: int, colours: str
) -> None:
    wrong, found = look(browser, results.path / "dvc_plots/index.html", width, colours)
    assert wrong == []
    assert len(found["marks"]) == 5
    assert all(marks >= 10 for marks in found["marks"]), found["marks"]
    assert found["room"][0] <= found["room"][1], "the page scrolls to the side"
    assert found["loaded"]
    assert found["named"]
    card = {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 29, 33)"}[colours]
    assert found["drawn"] == [card] * 5


@needs_browser
def test_dvc_plots_show_needs_no_network_either(
    results: Project, browser: Browser, tmp_path: Path
) -> None:
    project = results.copy_to(tmp_path / "project")
    vega()
    (project.path / ".venv").mkdir()
    shutil.copy(LIBRARY, project.path / ".venv/vega.js")
    project.dvc("plots", "show")
    wrong, found = look(browser, project.path / "dvc_plots/index.html", 360, "dark")
    assert wrong == []
    assert len(found["marks"]) == 3
    assert all(marks >= 10 for marks in found["marks"]), found["marks"]
    assert found["room"][0] <= found["room"][1]
    assert found["loaded"]


@needs_browser
def test_the_page_of_a_report_needs_nothing_beside_its_folder(
    results: Project, browser: Browser, tmp_path: Path
) -> None:
    project = results.copy_to(tmp_path / "project")
    project.run(".ci/report")
    folder = shutil.move(project.path / "dvc_plots", tmp_path / "downloaded")
    wrong, found = look(browser, folder / "index.html", 1280, "light")
    assert wrong == []
    assert len(found["marks"]) == 3
    assert all(marks >= 10 for marks in found["marks"]), found["marks"]
    assert found["loaded"]


def test_the_page_says_what_changed(results: Project) -> None:
    page = results.read("dvc_plots/index.html").decode()
    before = results.git("log", "-1", "--skip=1", "--format=%h").strip()
    assert f"<code>{before}</code>" in page
    assert "Know &lt;half&gt; &amp; no more" in page
    now = json.loads(results.read("metrics/evaluate.json"))["errors"]
    change = f"\N{MINUS SIGN}{5000 - now:,}"
    assert f">errors</th><td>5000</td><td>{now}</td><td>{change}</td>" in page
    assert not re.search(r"<th[^>]*></th>", page), "every column is named"
    assert len(page) < 2_000_000
    assert "{plot_divs}" not in page
    assert "cdn." not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_without_an_earlier_result_the_page_says_so(results: Project, tmp_path: Path) -> None:
    shallow = Project(tmp_path / "shallow", results.mirror)
    results.git("clone", "-q", "--depth=1", results.path.as_uri(), str(shallow.path))
    shallow.run("python", "-m", "page.write")
    said = "<code>git fetch --unshallow</code>"
    assert said in shallow.read("dvc_plots/index.html").decode()
    shallow.run(*readme.command("git fetch --unshallow").split())
    shallow.run("python", "-m", "page.write")
    assert said not in shallow.read("dvc_plots/index.html").decode()


def test_missing_results_are_named(results: Project, tmp_path: Path) -> None:
    project = results.copy_to(tmp_path / "project")
    (project.path / "plots/digits.csv").unlink()
    said = project.run("python", "-m", "page.write", fails=True)
    assert said == "error: plots/digits.csv: no such file; `make repro` makes it\n"


def test_the_committed_pictures_are_those_of_the_committed_tables(tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", tmp_path)
    subprocess.run(["git", "clone", "-q", "--depth=1", ROOT.as_uri(), clone.path], check=True)
    for path in (clone.path / "plots").glob("*.svg"):
        path.unlink()
    clone.run("python", "-m", "page.write")
    assert clone.git("status", "--porcelain") == "", "run `make plots` and commit plots/*.svg"


def test_intervals_are_those_of_wilson() -> None:
    """The template works them out of a digit's errors; its plot says them in words."""
    drawn, table = committed("plots/digits.svg"), committed("plots/digits.csv")
    rows = table.splitlines()[1:]
    for digit, examples, errors, *_ in (row.split(",") for row in rows):
        low, high = (100 * share for share in wilson_interval(int(errors), int(examples)))
        said = rf'aria-label="[^"]*: {digit}; [^"]*from: {low:.2f}; to: {high:.2f}'
        assert re.search(said, drawn), digit


def test_a_plot_alone_tells_no_revisions_apart() -> None:
    for template in (ROOT / ".dvc/plots").glob("*.json"):
        spec = json.loads(template.read_text())
        spec["data"] = {"values": [{"rev": "now"}, {"rev": "before: 1234567"}]}
        shown = alone(spec)
        assert shown["data"]["values"] == [{"rev": "now"}]
        assert '"field": "rev"' in json.dumps(spec)
        assert '"rev"' not in json.dumps({**shown, "data": None}), template
        assert not {"facet", "spec"} & set(shown)
