"""Studies as users start them, on real Ray clusters on this machine."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from stages import paths
from study.one_seed import COLUMNS, read_rows
from tests import documented
from tests.pipeline.test_own_pictures import TINY, odd_names
from tests.project import Project, change_parameters, make_project

PATIENCE = 240  # seconds
TABLE = "metrics/study/seeds/tiny.csv"
PLAN = """\
seeds: 3
screen:
  seeds: 2
  validation_size: 100
  changes:
    tiny:
    - {model.dropout: 0}
search:
  tiny:
    base: tiny
    rounds: 2
    validation_size: 100
    candidates:
"""
CANDIDATES = 50
PLAN += "".join(f"    - {{train.max_learning_rate: {(1 + n) / 1000}}}\n" for n in range(CANDIDATES))
RUN = [sys.executable, "-m", "study.run", "tiny"]
SEARCH = [sys.executable, "-m", "study.search", "tiny"]
RAY = {"RAY_worker_niceness": "0"}  # or other tests would starve the workers


@pytest.fixture(scope="module", autouse=True)
def folder_of_ray() -> Iterator[None]:
    """Nobody else's; with a short path, because a socket's has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as path:
        RAY["RAY_TMPDIR"] = path
        yield


@pytest.fixture(scope="module")
def studied(reproduced: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The reproduced project, with its recipe called tiny and three seeds of it studied."""
    project = reproduced.copy_to(tmp_path_factory.mktemp("study") / "project")
    (project.path / "recipes/tiny.yaml").write_bytes(project.read("params.yaml"))
    (project.path / "study/params.yaml").write_text(PLAN)
    project.run(*RUN, **RAY)
    return project


@pytest.fixture
def project(studied: Project, tmp_path: Path) -> Project:
    return studied.copy_to(tmp_path / "project")


def rows_of(project: Project, table: str = TABLE) -> pd.DataFrame:
    """The rows that count; those of the real recipe are still there, and marked."""
    return read_rows(project.path / table)


def test_seed_0_is_the_model_of_the_pipeline(studied: Project) -> None:
    rows = rows_of(studied)
    assert list(rows.columns) == COLUMNS
    assert rows["seed"].tolist() == [0, 1, 2]
    outs = yaml.safe_load(studied.read("dvc.lock"))["stages"]["train"]["outs"]
    md5s = {out["path"]: out["md5"] for out in outs}
    assert rows["model_md5"][0] == md5s["models/model.safetensors"]
    metrics = json.loads(studied.read("metrics/evaluate.json"))
    for name in ("accuracy", "loss"):
        assert rows[name][0] == pytest.approx(metrics[name], rel=1e-5)

    summary = json.loads(studied.read("metrics/study/tiny.json"))
    assert list(summary["accuracies"].values()) == rows["accuracy"].tolist()
    assert (summary["n"], summary["images"]) == (3, 500)
    written = (studied.path / TABLE).stat().st_mtime_ns
    studied.run(*RUN, **RAY)
    assert (studied.path / TABLE).stat().st_mtime_ns == written, "every row is there"


def test_screening_reads_no_test_file(project: Project) -> None:
    for file in project.path.glob("data/raw/t10k-*"):
        file.unlink()
    project.run(sys.executable, "-m", "study.screen", **RAY)
    rows = rows_of(project, "metrics/study/screen.csv")
    assert rows["recipe"].tolist() == 2 * ["tiny"] + 2 * ["tiny: model.dropout=0"]
    assert rows["seed"].tolist() == [0, 1, 0, 1]


def test_a_study_refuses_other_data_and_keeps_its_rows(project: Project) -> None:
    before = project.read(TABLE)
    raw = project.path / "data/raw/train-images-idx3-ubyte.gz"
    content = raw.read_bytes()
    raw.unlink()  # it may be a link into the cache
    raw.write_bytes(content[:-1] + b"?")
    output = project.run(*RUN, fails=True)
    assert f"{raw.name}: is not the file of 'own', the data of this study's recipes" in output
    assert "Traceback" not in output
    assert project.read(TABLE) == before


def test_an_interrupted_study_keeps_its_rows(project: Project) -> None:
    """And keeps another study out of its folder."""
    table = project.path / TABLE
    table.unlink()
    plan = project.path / "study/params.yaml"
    plan.write_text(PLAN.replace("seeds: 3", "seeds: 1000"))
    running = start(project, {})
    wait_until(lambda: table.is_file() and len(rows_of(project)) > 1)
    output = project.run(*RUN, fails=True, **RAY)
    assert output.startswith(f"error: process {running.pid} (study.run) is at work in this folder")
    running.send_signal(signal.SIGINT)
    assert running.wait(PATIENCE) == 130

    kept = rows_of(project)
    seeds = int(kept["seed"].max()) + 2
    assert 3 <= seeds < 1000
    plan.write_text(PLAN.replace("seeds: 3", f"seeds: {seeds}"))
    project.run(*RUN, **RAY)
    rows = rows_of(project)
    assert rows["seed"].tolist() == list(range(seeds))
    assert rows[rows["seed"].isin(kept["seed"])].reset_index(drop=True).equals(kept)


def test_a_cluster_that_loses_a_node_gives_the_same_rows(project: Project) -> None:
    expected = rows_of(project)
    (project.path / TABLE).unlink()
    (project.path / ".env").write_text("SECRET=1")
    with cluster(project) as (second, environment):
        address = environment["RAY_ADDRESS"]
        output = project.run(*RUN, fails=True, **RAY, RAY_ADDRESS=address)
        last = output.splitlines()[-1]
        assert last.startswith("error: RAY_ADDRESS is "), "it has no token"
        assert "Failed to connect to Ray cluster" in last
        running = start(project, environment)
        wait_until(lambda: is_busy(second))
        sent = list(Path(RAY["RAY_TMPDIR"]).glob("ray/*/runtime_resources/working_dir_files/*/*"))
        assert {path.name for path in sent} == {"digits", "study"}
        kill(second)
        assert running.wait(2 * PATIENCE) == 0
    assert rows_of(project).equals(expected)


def test_a_search_outlives_a_node_and_goes_on_where_it_was(project: Project) -> None:
    table = project.path / "metrics/study/search/tiny.csv"
    with cluster(project) as (second, environment):
        running = start(project, environment, SEARCH)
        wait_until(lambda: table.is_file() and is_busy(second))
        kill(second)
        assert running.wait(2 * PATIENCE) == 0
    rows = read_rows(table)
    first = rows[rows["seed"] == 0].sort_values("loss", ignore_index=True)
    assert len(first) == CANDIDATES
    assert set(rows[rows["seed"] == 1]["recipe"]) == set(first["recipe"][: CANDIDATES // 2])

    written = table.stat().st_mtime_ns
    best = project.run(*SEARCH, **RAY).splitlines()[-CANDIDATES // 2]
    assert table.stat().st_mtime_ns == written, "every row is there"
    means = rows.groupby("recipe")["loss"].mean()[rows["recipe"][rows["seed"] == 1]]
    assert best == f"{means.min():.4f}  {means.idxmin()}"


def start(
    project: Project, environment: dict[str, str], command: Sequence[str] = RUN
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=project.path,
        env=project.environment() | RAY | environment,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@contextmanager
def cluster(project: Project) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, str]]]:
    """Two nodes of one core each: the second of them, and the environment of a client."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = RAY | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    starts = [
        documented.command("ray start --head --node-ip-address=127.0.0.1 --port=6380 --num-cpus=1"),
        documented.command(
            "ray start --address=127.0.0.1:6380 --node-ip-address=127.0.0.1 --num-cpus=1"
        ),
    ]
    ray = Path(sys.executable).with_name("ray")
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for line in starts:
            command = shlex.split(line.replace("6380", str(port)))
            command += ["--block", "--disable-usage-stats"]
            settings = project.environment() | environment
            nodes.append(subprocess.Popen(command, executable=ray, env=settings))
            wait_until(lambda: listens(port))
        yield nodes[1], environment | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        for node in nodes:
            kill(node)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def kill(node: "subprocess.Popen[bytes]") -> None:
    """SIGKILL a node: the process that started it, and all that it started."""
    if node.poll() is None:
        parent = psutil.Process(node.pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()


def is_busy(node: "subprocess.Popen[bytes]") -> bool:
    """Whether a task runs on the node."""
    names = [child.name() for child in psutil.Process(node.pid).children(recursive=True)]
    return any("train_seed" in name for name in names)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_recipe_names_its_pictures(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    odd_names(project.path / paths.PICTURES)
    (project.path / "study/params.yaml").write_text(
        "seeds: 2\nscreen: {seeds: 2, validation_size: 10, changes: {}}\n"
    )
    change_parameters(
        project.path / "recipes/pictures.yaml",
        {
            "preprocess": {"validation_size": 0, "image_size": 16},
            "model": TINY,
            "train": {"epochs": 2, "batch_size": 10},
        },
    )
    project.run(sys.executable, "-m", "study.run", "pictures", **RAY)
    rows = pd.read_csv(project.path / "metrics/study/seeds/pictures.csv")
    assert rows["seed"].tolist() == [0, 1]
    assert rows["model_md5"].nunique() == 2
    before = project.read("metrics/study/seeds/pictures.csv")
    project.run(sys.executable, "-m", "study.run", "pictures", **RAY)
    assert project.read("metrics/study/seeds/pictures.csv") == before, "nothing is trained again"
