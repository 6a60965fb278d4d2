"""ONNX Runtime reports home unless it is told not to before it is imported."""

import subprocess
import sys

from tests.project import ROOT
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


def test_telemetry_is_off_before_the_import_and_only_one_file_imports_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCH], cwd=ROOT, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1"]
    assert [name for name, code in CODE.items() if "import onnxruntime" in code] == [
        "digits/export/onnx_session.py"
    ]
