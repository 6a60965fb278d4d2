"""Fixtures that several test files share, and the options of tests/faults."""

import random
from collections.abc import Generator
from pathlib import Path

import pytest

# isort: off
import stages  # noqa: F401  sets the numeric environment before torch is imported
import torch

# isort: on
from tests.project import ROOT, Project, make_project


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="do every fault as often as the README says"
    )
    parser.addoption("--fault-seed", type=int, default=0, help="draws moments and places of faults")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "promise(text, quick, thorough): what a test of tests/faults proves, how often"
    )


@pytest.fixture
def times(request: pytest.FixtureRequest, record_property: pytest.FixtureDef) -> int:
    """How many faults the test is to make, by its mark; what the table of promises counts."""
    mark = request.node.get_closest_marker("promise")
    count = mark.kwargs["thorough" if request.config.getoption("--thorough") else "quick"]
    record_property("promise", (mark.args[0], request.node.nodeid.partition("[")[0], count))
    return count


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Where a test of tests/faults draws moments and places from; `--fault-seed` moves them."""
    return random.Random(f"{request.config.getoption('--fault-seed')} {request.node.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, object]:
    """In a thorough run, a promise that cannot be tried here is one that is not kept."""
    report = yield
    thorough = item.config.getoption("--thorough")
    if thorough and report.skipped and item.get_closest_marker("promise"):
        report.outcome = "failed"
        report.longrepr = f"not tried, so not kept: {report.longrepr[2]}"
    return report


def promises_kept(reporter: pytest.TerminalReporter) -> list[str]:
    """The rows of the table of promises, with the faults of the tests that passed."""
    counts: dict[tuple[str, str], int] = {}
    for report in reporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "promise" and report.when == "call":
                text, test, count = value
                counts[text, test] = counts.get((text, test), 0) + count
    rows = sorted(counts.items(), key=lambda item: item[0][1])
    return [f"| {text} | `{test}` | {count:,} |" for (text, test), count in rows]


def not_in_the_readme(rows: list[str]) -> list[str]:
    return sorted(set(rows).difference((ROOT / "README.md").read_text().splitlines()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A thorough run fails if the README's table promises something else than what was tried."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # a worker has none
    thorough = session.config.getoption("--thorough")
    if reporter and thorough and not_in_the_readme(promises_kept(reporter)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a thorough run: the table of promises, and where the README's is another."""
    config = terminalreporter.config
    if not config.getoption("--thorough"):
        return
    rows = promises_kept(terminalreporter)
    terminalreporter.section(f"promises kept, --fault-seed {config.getoption('--fault-seed')}")
    terminalreporter.write_line("\n".join(["| promise | test | times |", "|---|---|--:|", *rows]))
    for row in not_in_the_readme(rows):
        terminalreporter.write_line(f"error: not in README.md, which says otherwise: {row}")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers on loopback are asked directly."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def untouched_generator() -> object:
    """No code under test may draw from torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "something drew from the global generator"


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A committed project on drawn digits after its first `dvc repro`, not to be changed."""
    project = make_project(tmp_path_factory.mktemp("reproduced"))
    project.first_run = project.dvc("repro")
    project.git("add", ".")
    project.git("commit", "-qm", "Reproduce")
    return project


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change."""
    return reproduced.copy_to(tmp_path / "project")
