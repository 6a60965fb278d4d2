"""Nothing reports home: ONNX Runtime would, unless it is told not to before it is imported."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.sources.catalog import find
from digits.sources.mirrors import Patience
from tests import drawn
from tests.project import ROOT, STAGES, Project, ran
from tests.unit.test_repository import CODE

WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
import digits.export.onnx_session
"""
# addresses that a process of the machine asked to reach, by any library, in any language
TRACE = "strace --follow-forks --quiet=all --seccomp-bpf --trace=connect,sendto,sendmsg,sendmmsg"
CALL = re.compile(r"sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?\"([^\"]+)\"")


def test_telemetry_is_off_before_the_import_and_only_one_file_imports_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCH], cwd=ROOT, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1"]
    assert [name for name, code in CODE.items() if "import onnxruntime" in code] == [
        "digits/export/onnx_session.py"
    ]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace: apt-get install strace")
def test_a_whole_run_calls_nothing_but_the_mirrors(project: Project, tmp_path: Path) -> None:
    """`make run` up to the sample, every stage of it, then predict, plots, metrics and verify."""
    project.change("download", source="mnist", files=None)
    shutil.rmtree(project.path / ".dvc/cache")
    shutil.rmtree(project.path / "data/raw")
    home = tmp_path / "home"
    home.mkdir()

    def calls(*command: str) -> tuple[list[tuple[str, int]], str]:
        log = tmp_path / "log"
        traced = [*TRACE.split(), f"--output={log}", *command]
        output = project.run(*traced, HOME=str(home), MNIST_MIRROR="")
        found = CALL.findall(log.read_text())
        return [(address, int(port)) for port, address in found], output

    found, output = calls(sys.executable, "-m", "tools.run")
    assert ran(output) == STAGES
    tries = len(find("mnist").mirrors) * Patience().tries
    assert found == tries * [("127.0.0.1", 9)], "each mirror, through the proxy that is set"

    picture = tmp_path / "digit.png"
    Image.fromarray(255 - np.asarray(drawn.draw(1, 0)[0][0])).save(picture)
    for command in (
        [sys.executable, "-m", "digits.predict", str(picture)],
        [sys.executable, "-m", "tools.report"],
        [sys.executable, "-m", "tools.verify"],
        [sys.executable, "-m", "dvc", "metrics", "show"],
    ):
        assert calls(*command)[0] == [], command
    left = [path for path in home.rglob("*") if path.is_file()]
    assert {path.parent.name for path in left} <= {"matplotlib"}, "its list of fonts"
