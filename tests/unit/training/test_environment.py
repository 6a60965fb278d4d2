"""The record of what the bits of a run depend on."""

import json
import platform
import re

import torch
import yaml

from digits.training import environment
from tests.project import ROOT
from tests.unit.test_repository import committed


def test_it_records_what_decides_the_bits_and_no_machine() -> None:
    record = environment.describe(torch.device("cpu"))
    assert record["python"] == ".".join(platform.python_version_tuple()[:2])
    assert record["threads"] == 1
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    if platform.machine() == "x86_64":
        assert (record["instructions"], record["onednn"]) == ("AVX2", "AVX2")
    for name in (platform.node(), platform.release(), platform.version()):
        assert not name or f'"{name}"' not in json.dumps(record)


def test_the_committed_record_has_these_keys_and_locked_versions() -> None:
    (record,) = json.loads(committed("metrics/environment.json"))["details"]
    assert record.keys() == environment.describe(torch.device("cpu")).keys()
    assert tuple(record["packages"]) == environment.PACKAGES
    lock = (ROOT / "requirements.txt").read_text()
    for name, version in record["packages"].items():
        assert re.search(rf"^{name}=={re.escape(version)} ", lock, re.MULTILINE), name
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train"]
    assert {"metrics/environment.json": {"cache": False}} in stage["metrics"]
