"""The record of what the bits hang on."""

import json
import platform
import re

import torch

from stages.lib import environment
from tests.project import ROOT, Project


def test_it_names_what_decides_the_bits_and_no_machine() -> None:
    said = environment.describe(torch.device("cpu"))
    assert said["python"] == ".".join(platform.python_version_tuple()[:2])
    assert said["threads"] == 1
    assert said["packages"]["torch"] == torch.__version__.partition("+")[0]
    if platform.machine() == "x86_64":
        assert (said["instructions"], said["onednn"]) == ("AVX2", "AVX2")
    for name in (platform.node(), platform.release(), platform.version()):
        assert not name or f'"{name}"' not in json.dumps(said)


def test_the_committed_record_has_these_keys_and_locked_versions() -> None:
    record = json.loads((ROOT / "metrics/environment.json").read_text())
    assert record.keys() == environment.describe(torch.device("cpu")).keys()
    lock = (ROOT / "requirements.txt").read_text()
    assert tuple(record["packages"]) == environment.PACKAGES
    for name, version in record["packages"].items():
        assert re.search(rf"^{name}=={re.escape(version)} ", lock, re.MULTILINE), name


def test_training_writes_it_and_dvc_compares_it(project: Project) -> None:
    path = project.path / "metrics/environment.json"
    record = json.loads(path.read_text())
    assert record == environment.describe(torch.device("cpu"))
    record["packages"]["torch"] = "1.0.0"
    path.write_text(json.dumps(record))
    table = json.loads(project.dvc("metrics", "diff", "--json", "HEAD"))
    change = table["metrics/environment.json"]["packages.torch"]
    assert (change["old"], change["new"]) == (environment.metadata.version("torch"), "1.0.0")
