"""A copy of this project on drawn digits, driven by the real git and dvc commands."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.lib.datasets import MNIST
from tests import digits

ROOT = Path(__file__).parent.parent
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
    killed_run: str = ""

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
            timeout=240,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def dvc(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, fails=fails, **environment)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

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
            "MNIST_MIRROR": str(self.mirror),
            "GIT_AUTHOR_NAME": "Test",
            "GIT_AUTHOR_EMAIL": "test@example.com",
            "GIT_COMMITTER_NAME": "Test",
            "GIT_COMMITTER_EMAIL": "test@example.com",
            # a port that nothing listens on: whatever leaves this machine fails at once
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }


def make_project(folder: Path) -> Project:
    """This project's files as they are now, on drawn digits, committed and not yet run."""
    mirror, path = folder / "mirror", folder / "project"
    drawn = digits.write_idx(mirror)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path / name)
    (path / "dvc.lock").unlink(missing_ok=True)
    datasets = path / "stages/lib/datasets.py"
    code = datasets.read_text()
    for name, sha256 in MNIST.items():
        code = code.replace(sha256, drawn[name])
    datasets.write_text(code)
    shutil.copy(path / "recipes/described.yaml", path / "params.yaml")
    change_parameters(path / "params.yaml", SMALL)
    project = Project(path, mirror)
    project.git("init", "-q", "-b", "main")
    project.git("add", ".")
    project.git("commit", "-qm", "Begin")
    return project


def change_parameters(path: Path, changes: dict[str, Any]) -> None:
    """Set values of a parameter file; a value given for a section replaces those keys."""
    yaml = YAML()
    content = yaml.load(path)
    for section, values in changes.items():
        content[section].update(values)
    yaml.dump(content, path)
