"""The page of results in a real browser whose network is cut, and the README's plots."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from digits.reporting.tables import wilson_interval
from tests import documented
from tests.browser.chromium import CHROMIUM, chromium
from tests.project import ROOT, Project, make_project
from tests.unit.test_repository import committed
from tools.report import results
from tools.report.__main__ import read, render

needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project's committed results, after a commit with different ones, and their page."""
    project = make_project(tmp_path_factory.mktemp("page"))
    metrics = project.path / "metrics/evaluate.json"
    now = json.loads(metrics.read_text())
    (details,) = now["details"]
    for misread, shown, subject in (
        ([*range(5000)], {"accuracy": 0.5, "errors": 5000}, "Know <half> & no more"),
        ([7, *range(5000, 5000 + now["errors"] - 1)], {}, "Know more"),
    ):
        same = {"test_sha256": "0" * 64, "misread": misread}
        metrics.write_text(json.dumps(now | shown | {"details": [details | same]}))
        project.git("commit", "-aqm", subject)
    project.run("python", "-m", "tools.report")
    return project


def check_page(path: Path, width: int, colours: str, plots: int) -> None:
    """Open a page without a network, and check that it fits and that all of it is drawn."""
    messages, requests = [], []
    with chromium() as browser:
        viewport = {"width": width, "height": 800}
        page = browser.new_page(viewport=viewport, color_scheme=colours, offline=True)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        drawn = "plots.length && plots.every(({place}) => document.querySelector(`${place} svg`))"
        page.wait_for_function(drawn, timeout=120_000)
        marks, backgrounds, images, overflow = page.evaluate("""() => {
            const svgs = plots.map(({place}) => document.querySelector(`${place} svg`));
            return [
                svgs.map((svg) => svg.querySelectorAll(".role-mark path, .role-mark text").length),
                svgs.map((svg) => getComputedStyle(svg).backgroundColor),
                [...document.images].map((image) => image.naturalWidth),
                document.documentElement.scrollWidth - innerWidth,
            ];
        }""")
    assert messages == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
    assert len(marks) == plots
    fewest, *others = sorted(marks)
    assert fewest >= 7, "reliability, with a mark for each tenth that has images"
    assert min(others) >= 10, marks
    card = {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 29, 33)"}[colours]
    assert backgrounds == [card] * plots
    assert min(images) > 0, "an image is broken"
    assert overflow <= 0, "the page scrolls sideways"


@needs_browser
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (360, "dark")])
def test_the_page_needs_no_network(reported: Project, width: int, colours: str) -> None:
    check_page(reported.path / "dvc_plots/index.html", width, colours, plots=9)


@needs_browser
def test_the_pages_of_dvc_need_no_network(reported: Project, tmp_path: Path) -> None:
    project = reported.copy_to(tmp_path / "project")
    project.run(".ci/report")
    (project.path / "dvc_plots/vega.js").rename(tmp_path / "vega.js")
    alone = shutil.move(project.path / "dvc_plots", tmp_path / "downloaded")
    check_page(alone / "index.html", 1280, "light", plots=4)

    (project.path / "dvc_plots").mkdir()
    (tmp_path / "vega.js").rename(project.path / "dvc_plots/vega.js")  # from `make plots`
    project.dvc("plots", "show")
    copied = shutil.move(project.path / "dvc_plots", tmp_path / "copied")
    check_page(copied / "index.html", 360, "dark", plots=4)


def test_the_page_says_what_changed(reported: Project) -> None:
    page = reported.read("dvc_plots/index.html").decode()
    before = reported.git("log", "-1", "--skip=1", "--format=%h").strip()
    assert f"<code>{before}</code>, “Know &lt;half&gt; &amp; no more”" in page
    now = json.loads(reported.read("metrics/evaluate.json"))["errors"]
    change = f"\N{MINUS SIGN}{5000 - now:,}"
    assert f">errors</th><td>5,000</td><td>{now}</td><td>{change}</td>" in page
    row = r"<tr><th scope=\"row\">(\w+)</th><td>\d{4}-\d\d-\d\d</td>.*<td>([^<]*)</td></tr>"
    rows = re.findall(row, page)
    newest = reported.git("log", "-1", "--format=%h").strip()
    assert rows[:2] == [(newest, "Know more"), (before, "Know &lt;half&gt; &amp; no more")]
    assert re.search(r"train\.<wbr>batch_<wbr>size</th><td>50</td>", page), "all parameters"
    new = now - 1  # and one is in both
    card = rf"<small>{change}\s+since {before}: 4999 mended, {new} new\s*</small>"
    assert re.search(card, page), "on the card"
    assert f"4,999 errors are mended, {new} are new,\nand 1 are in both." in page
    assert "McNemar's exact\np&nbsp;is 0" in page
    assert not re.search(r"<th[^>]*></th>", page), "every column has a name"
    (seeds,) = re.findall(r'vegaEmbed\("#study", (.*)\);</script>', page)
    recipes = {path.stem for path in reported.path.glob("metrics/study/*.json")}
    rows = json.loads(seeds)["data"]["values"]
    assert {row["recipe"] for row in rows} == recipes
    assert len(rows) == sum(
        len(json.loads(reported.read(f"metrics/study/{name}.json"))["accuracies"])
        for name in recipes
    )
    assert len(re.findall(r'<img src="data:[^>]* alt="[^"]+"', page)) == 3


def test_a_page_without_validation_study_pictures_and_earlier_result() -> None:
    spec = {"data": {"values": [{"count": "</script>"}]}}
    values = {"study": {}, "pictures": {}, "changes": {}, "earlier": None, "shallow": False}
    values |= {
        "images": {},
        "study_plots": {},
        "counts": [],
        "history": [],
        "parameters": [],
        "metrics": read(ROOT / "metrics/evaluate.json"),
        "training": {"epoch": 19, "train_loss": 0.1, "temperature": 0.9},
        "now": dict.fromkeys(("learning_curves", "confusion", "classes", "reliability"), spec),
        "commonest_error": {"actual": "4", "predicted": "9", "count": "5"},
        "worst_class": {"class": "5", "error_percent": "1.2"},
    }
    body = render(values)
    assert "No commit has a different result to compare with." in body
    assert "Validation accuracy" not in body
    assert "Many seeds" not in body
    assert body.count("</script>") == body.count("<script>") == 4


def test_earlier_results_need_the_history(
    reported: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    reported.git("clone", "-q", "--depth=1", reported.path.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    assert results.earlier_commit() is None
    Project(clone, tmp_path).run(*documented.command("git fetch --unshallow").split())
    assert results.earlier_commit() == reported.git("log", "-1", "--skip=1", "--format=%h").strip()


def test_missing_results_are_named(reported: Project, tmp_path: Path) -> None:
    project = reported.copy_to(tmp_path / "project")
    (project.path / "plots/classes.csv").unlink()
    message = project.run("python", "-m", "tools.report", fails=True)
    assert message == "error: plots/classes.csv: no such file; `make repro` makes it\n"


def test_the_committed_svgs_are_those_of_the_committed_tables(tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", tmp_path)
    subprocess.run(["git", "clone", "-q", "--depth=1", ROOT.as_uri(), clone.path], check=True)
    for path in (clone.path / "plots").glob("*.svg"):
        path.unlink()
    clone.run("python", "-m", "tools.report")
    assert clone.git("status", "--porcelain") == "", "run `make plots` and commit plots/*.svg"
    assert "<code>git fetch --unshallow</code>" in clone.read("dvc_plots/index.html").decode()


def test_intervals_are_those_of_wilson() -> None:
    """The template computes them from a digit's errors; the SVG has them as text."""
    svg, table = committed("plots/classes.svg"), committed("plots/classes.csv")
    for digit, examples, errors, *_ in (row.split(",") for row in table.splitlines()[1:]):
        low, high = (100 * share for share in wilson_interval(int(errors), int(examples)))
        text = rf'aria-label="[^"]*: {digit}; [^"]*from: {low:.2f}; to: {high:.2f}'
        assert re.search(text, svg), digit


def test_a_plot_of_this_folder_only_tells_no_revisions_apart() -> None:
    for template in (ROOT / ".dvc/plots").glob("*.json"):
        spec = json.loads(template.read_text())
        spec["data"] = {"values": [{"n": "1", "rev": "now"}, {"n": "2", "rev": "before: 1234567"}]}
        assert '"field": "rev"' in json.dumps(spec)
        plot = results.only_now(spec)
        assert plot["data"]["values"] == [{"n": "1"}]
        assert '"rev"' not in json.dumps(plot), template
        assert not {"facet", "spec"} & set(plot)
