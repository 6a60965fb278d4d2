"""A copy of this project on drawn digits, driven by the real git and dvc commands."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests import drawn

ROOT = Path(__file__).parent.parent
GRAPH: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES = list(GRAPH["stages"])
KEYS = ("train_images", "train_labels", "test_images", "test_labels")  # of download.files
SMALL = {
    "preprocess": {"validation_size": 100},
    "model": {"blocks": [4, "pool", 4, "pool"], "hidden": None},
    "train": {"epochs": 2, "batch_size": 50},
}


@dataclass
class Project:
    """A git and DVC repository; commands run in it as a user's would."""

    path: Path
    mirror: Path
    first_run: str = ""

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """Run a command to its end; returns what it printed, on both streams."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def dvc(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, fails=fails, **environment)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def changed(self) -> set[str]:
        """The stages that `dvc status` names."""
        return set(json.loads(self.dvc("status", "--json")))

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def results(self, *, without: str = "") -> dict[str, bytes]:
        """What the stages have written, all or without one of them."""
        stages = (stage for stage in STAGES if stage != without)
        return {name: self.read(name) for stage in stages for name in outputs(stage)}

    def download(self) -> dict[str, Any]:
        """The section `download` of params.yaml."""
        return YAML(typ="safe").load(self.read("params.yaml"))["download"]

    def change(self, section: str, **values: object) -> None:
        """Set values in params.yaml."""
        change_parameters(self.path / "params.yaml", {section: values})

    def name_remote(self, name: str, settings: dict[str, str]) -> None:
        """Commit a default remote, which `dvc remote` would take seconds for."""
        config = self.path / ".dvc/config"
        core = config.read_text().replace("[core]\n", f"[core]\n    remote = {name}\n")
        lines = [f"    {key} = {value}\n" for key, value in settings.items()]
        config.write_text("".join([core, f"['remote \"{name}\"']\n", *lines]))
        self.git("commit", "-qam", "Name a remote")

    def copy_to(self, path: Path) -> "Project":
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path, self.mirror)

    def environment(self) -> dict[str, str]:
        """A user's, without a network."""
        kept = {key: os.environ[key] for key in ("LANG", "TMPDIR") if key in os.environ}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.mirror.parent),  # no configuration of this machine's user
            "GIT_AUTHOR_NAME": "Test",
            "GIT_AUTHOR_EMAIL": "test@example.com",
            "GIT_COMMITTER_NAME": "Test",
            "GIT_COMMITTER_EMAIL": "test@example.com",
            # a port that nothing listens on: whatever leaves this machine fails at once
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }


def outputs(stage: str) -> list[str]:
    """The files that dvc.yaml says a stage writes."""
    lists = (GRAPH["stages"][stage].get(kind, []) for kind in ("outs", "metrics", "plots"))
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in chain(*lists)]


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` executed."""
    return [name for name in STAGES if f"Running stage '{name}'" in output]


def make_project(folder: Path) -> Project:
    """This project's files as they are now, on drawn digits, committed but not yet run."""
    mirror, path = folder / "mirror", folder / "project"
    digests = drawn.write_idx(mirror)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # and what Numba has compiled
    compiled = [str(file.relative_to(ROOT)) for file in ROOT.glob("digits/**/__pycache__/*.nb?")]
    for name in [*filter(None, listed.split("\0")), *compiled]:
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    (path / "dvc.lock").unlink(missing_ok=True)
    shutil.copy(path / "recipes/described.yaml", path / "params.yaml")
    change_parameters(path / "params.yaml", SMALL | {"download": own(mirror, digests)})
    project = Project(path, mirror)
    project.git("init", "-q", "-b", "main")
    project.git("add", ".")
    project.git("commit", "-qm", "Begin")
    return project


def own(folder: Path, digests: dict[str, str]) -> dict[str, Any]:
    """The section `download` for the four files in a folder."""
    entries = [
        {"address": str(folder / name), "sha256": digest} for name, digest in digests.items()
    ]
    return {"source": "own", "files": dict(zip(KEYS, entries, strict=True))}


def change_parameters(path: Path, changes: dict[str, Any]) -> None:
    """Set values of a parameter file; a value given for a section replaces those keys."""
    yaml = YAML()
    content = yaml.load(path)
    for section, values in changes.items():
        content[section].update(values)
    yaml.dump(content, path)
