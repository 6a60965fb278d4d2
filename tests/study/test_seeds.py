"""Studies on drawn digits, with real Ray clusters on this machine."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from stages.lib.alone import claimed
from study.seeds import COLUMNS
from tests import readme
from tests.project import Project, change_parameters, make_project

TABLE = "metrics/study/seeds/tiny.csv"
PLAN = """\
seeds: 3
screen:
  seeds: 2
  validation_size: 100
  changes:
    tiny:
    - {model.dropout: 0}
"""
RAY = {"RAY_worker_niceness": "0"}  # or other tests would starve the workers


@pytest.fixture(scope="module", autouse=True)
def folder_of_ray() -> Iterator[None]:
    """Nobody else's; with a short path, because a socket's has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as path:
        RAY["RAY_TMPDIR"] = path
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With a recipe called tiny, the data downloaded, and three seeds studied locally."""
    made = make_project(tmp_path_factory.mktemp("study"))
    (made.path / "recipes/tiny.yaml").write_bytes(made.read("params.yaml"))
    (made.path / "study/params.yaml").write_text(PLAN)
    made.run(sys.executable, "-m", "stages.download")
    study(made)
    return made


@pytest.fixture
def copy(project: Project, tmp_path: Path) -> Project:
    return project.copy_to(tmp_path / "copy")


def study(project: Project, module: str = "study.run", table: str = TABLE) -> pd.DataFrame:
    names = ["tiny"] if module == "study.run" else []
    project.run(sys.executable, "-m", module, *names, **RAY)
    return read(project, table)


def read(project: Project, table: str = TABLE) -> pd.DataFrame:
    return pd.read_csv(project.path / table)


def test_every_seed_has_a_row_and_they_differ(project: Project) -> None:
    rows = read(project)
    assert list(rows.columns) == COLUMNS
    assert rows["seed"].tolist() == [0, 1, 2]
    assert rows["identity"].nunique() == 1
    assert rows["model_md5"].nunique() == 3
    assert set(rows["threads"]) == {1}


def test_the_summary_is_that_of_the_rows(project: Project) -> None:
    found = pd.read_json(project.path / "metrics/study/tiny.json", typ="series")
    accuracy = read(project)["accuracy"]
    assert found["n"] == 3
    assert found["mean"] == pytest.approx(accuracy.mean(), rel=1e-5)
    assert found["sd"] == pytest.approx(accuracy.std(), rel=1e-5)
    # Student's t of 2 degrees of freedom: 4.303
    half = 4.303 * accuracy.std() / 3**0.5
    assert found["mean_high"] == pytest.approx(accuracy.mean() + half, rel=1e-3)
    assert list(found["accuracies"].values()) == accuracy.tolist()
    assert found["images"] == 500


def test_only_missing_seeds_are_trained(copy: Project) -> None:
    whole = read(copy)
    marked = whole.assign(train_loss=whole["train_loss"].where(whole["seed"] != 0, 123.0))
    marked[marked["seed"] != 1].to_csv(copy.path / TABLE, index=False)
    found = study(copy)
    assert found["train_loss"][0] == 123, "seed 0 was not trained again"
    assert found.iloc[1:].equals(whole.iloc[1:]), "seed 1 was, and is the same"


def test_rows_of_another_recipe_are_not_used(copy: Project) -> None:
    before = read(copy)
    change_parameters(copy.path / "recipes/tiny.yaml", {"model": {"dropout": 0.1}})
    after = study(copy)
    assert after["seed"].tolist() == [0, 1, 2]
    assert set(after["identity"]).isdisjoint(before["identity"])
    assert set(after["model_md5"]).isdisjoint(before["model_md5"])


def test_a_seed_is_what_the_pipeline_makes_of_it(copy: Project) -> None:
    copy.change("train", seed=2)
    copy.dvc("repro")
    row = read(copy).set_index("seed").loc[2]
    outs = yaml.safe_load(copy.read("dvc.lock"))["stages"]["train"]["outs"]
    made = {out["path"]: out["md5"] for out in outs}
    assert made["models/model.safetensors"] == row["model_md5"]
    metrics = pd.read_json(copy.path / "metrics/evaluate.json", typ="series")
    assert row["accuracy"] == pytest.approx(metrics["accuracy"], rel=1e-5)
    assert row["loss"] == pytest.approx(metrics["loss"], rel=1e-5)


def test_screening_reads_no_test_file(copy: Project) -> None:
    for file in copy.path.glob("data/raw/t10k-*"):
        file.unlink()
    rows = study(copy, "study.screen", "metrics/study/screen.csv")
    assert rows["recipe"].tolist() == 2 * ["tiny"] + 2 * ["tiny: model.dropout=0"]
    assert rows["seed"].tolist() == [0, 1, 0, 1]
    said = copy.run(sys.executable, "-m", "study.run", "tiny", fails=True)
    assert "t10k-images-idx3-ubyte.gz: no such file" in said, "but a study does"


def test_an_interrupted_study_keeps_its_rows(copy: Project) -> None:
    (copy.path / TABLE).unlink()
    (copy.path / "study/params.yaml").write_text(PLAN.replace("seeds: 3", "seeds: 200"))
    running = start(copy, {})
    wait_until(lambda: len(read(copy)) > 1 if (copy.path / TABLE).is_file() else False)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    kept = read(copy)
    assert 2 <= len(kept) < 200
    seeds = int(kept["seed"].max()) + 2
    (copy.path / "study/params.yaml").write_text(PLAN.replace("seeds: 3", f"seeds: {seeds}"))
    found = study(copy)
    assert found["seed"].tolist() == list(range(seeds))
    both = found[found["seed"].isin(kept["seed"])].reset_index(drop=True)
    assert both.equals(kept)


def test_a_cluster_that_loses_a_node_gives_the_same_rows(copy: Project) -> None:
    local = read(copy)
    (copy.path / TABLE).unlink()
    (copy.path / ".env").write_text("SECRET=1")
    with cluster(copy) as (second, environment):
        command = [sys.executable, "-m", "study.run", "tiny"]
        said = copy.run(*command, fails=True, **RAY, RAY_ADDRESS=environment["RAY_ADDRESS"])
        last = said.splitlines()[-1]
        assert last.startswith("error: Failed to connect to Ray cluster"), "it has no token"
        running = start(copy, environment)
        wait_until(lambda: busy(second))
        sent = list(Path(RAY["RAY_TMPDIR"]).glob("ray/*/runtime_resources/working_dir_files/*/*"))
        assert {path.name for path in sent} == {"stages", "study"}
        kill(second)
        assert running.wait(200) == 0
    assert read(copy).equals(local)


def test_a_second_study_in_the_folder_is_refused(copy: Project) -> None:
    (copy.path / TABLE).unlink()
    claim = copy.path / ".dvc/tmp/study"
    with claimed(claim):
        said = copy.run(sys.executable, "-m", "study.run", "tiny", fails=True, **RAY)
    assert said.startswith(f"error: process {os.getpid()} (")
    assert "is at work in this folder" in said
    assert not (copy.path / TABLE).exists()


def test_fewer_seeds_leave_the_rows_of_the_others(copy: Project) -> None:
    whole = read(copy)
    whole[whole["seed"] != 1].to_csv(copy.path / TABLE, index=False)
    (copy.path / "study/params.yaml").write_text(PLAN.replace("seeds: 3", "seeds: 2"))
    assert study(copy).equals(whole)
    assert pd.read_json(copy.path / "metrics/study/tiny.json", typ="series")["n"] == 2


def test_dvc_runs_the_study(copy: Project) -> None:
    graph = copy.path / "study/dvc.yaml"
    graph.write_text(re.sub(r"foreach: .*", "foreach: [tiny]", graph.read_text()))
    copy.dvc("repro", "study/dvc.yaml", **RAY)
    assert set(read(copy, "metrics/study/screen.csv")["recipe"]) == {
        "tiny",
        "tiny: model.dropout=0",
    }
    assert "didn't change, skipping" in copy.dvc("repro", "study/dvc.yaml:recipe@tiny", **RAY)
    copy.git("add", "-A")
    assert "study/dvc.lock" in copy.git("status", "--porcelain")


def test_a_recipe_that_is_not_there_is_named(project: Project) -> None:
    said = project.run(sys.executable, "-m", "study.run", "none", fails=True)
    assert said.startswith("error: recipes/none.yaml: no such file")


def start(project: Project, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "study.run", "tiny"]
    return subprocess.Popen(
        command,
        cwd=project.path,
        env=project.environment() | RAY | environment,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@contextmanager
def cluster(project: Project) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, str]]]:
    """Two nodes of one core each: the second of them, and what a client must know."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = RAY | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    starts = [
        readme.command("ray start --head --node-ip-address=127.0.0.1 --port=6380 --num-cpus=1"),
        readme.command(
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
        processes = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        node.wait()


def busy(node: "subprocess.Popen[bytes]") -> bool:
    """Whether a task runs on the node."""
    names = [child.name() for child in psutil.Process(node.pid).children(recursive=True)]
    return any("train_seed" in name for name in names)


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
