"""`make setup` installs what the lock names and hashes, and runs nothing unchecked on the way.

The Makefile's own command installs packages made here, from one folder into another.
"""

import hashlib
import io
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.project import ROOT

BUILT = "antlr4-python3-runtime"  # as wsgidav, a package of the lock without a wheel

# A setuptools that writes down its version when it runs, and hands out a ready wheel.
SETUPTOOLS = """
import pathlib, shutil
def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path({mark!r}).write_text({version!r})
    return pathlib.Path(shutil.copy({wheel!r}, folder)).name
"""


def command(program: str) -> list[str]:
    """How the Makefile calls a program to install the lock."""
    recipe = subprocess.run(
        ["make", "--dry-run", "--always-make", "--no-print-directory", ".venv/installed"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.replace("\\\n", " ")
    (line,) = (line for line in recipe.splitlines() if f"-m {program} " in line)
    return [part.replace(".venv/bin/python", sys.executable) for part in shlex.split(line)]


def metadata(name: str, version: str = "1.0") -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def make_wheel(folder: Path, name: str, code: str, version: str = "1.0") -> Path:
    """A wheel with a single module."""
    folder.mkdir(exist_ok=True)
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{module}.py", code)
        wheel.writestr(f"{module}-{version}.dist-info/METADATA", metadata(name, version))
        wheel.writestr(f"{module}-{version}.dist-info/RECORD", "")
        wheel.writestr(
            f"{module}-{version}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return path


def make_source(folder: Path, name: str) -> Path:
    """A source package that is built with setuptools."""
    path = folder / f"{name}-1.0.tar.gz"
    build = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools"\n'
    with tarfile.open(path, "w:gz") as archive:
        for file, text in {"PKG-INFO": metadata(name), "pyproject.toml": build}.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def install(place: Path, name: str = BUILT, forged: str = "") -> tuple[str, str]:
    """Install a source package by the Makefile's command; the lock has a wrong hash of `forged`.

    The lock has setuptools 1.0; 2.0 is offered as well. Returns the version that ran, if any,
    and what went wrong.
    """
    mark, packages = place / "mark", place / "packages"
    wheel = make_wheel(place / "built", name, "")
    for version in ("2.0", "1.0"):
        code = SETUPTOOLS.format(mark=str(mark), version=version, wheel=str(wheel))
        setuptools = make_wheel(packages, "setuptools", code, version)
    lock = {"setuptools": setuptools, name: make_source(packages, name)}
    hashes = {each: hashlib.sha256(path.read_bytes()).hexdigest() for each, path in lock.items()}
    if forged:
        hashes[forged] = "0" * 64
    (place / "requirements.txt").write_text(
        "".join(f"{each}==1.0 --hash=sha256:{digest}\n" for each, digest in hashes.items())
    )
    local = ["--offline", "--no-index", "--find-links", str(packages)]
    folders = ["--cache-dir", str(place / "cache"), "--target", str(place / "site")]
    done = subprocess.run(
        [*command("uv pip sync"), *local, *folders],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    installed = (place / "site" / f"{name.replace('-', '_')}.py").exists()
    assert installed == (done.returncode == 0), done.stdout
    return mark.read_text() if mark.exists() else "", "" if installed else done.stdout


def test_the_package_without_a_wheel_is_built_with_the_setuptools_of_the_lock(
    tmp_path: Path,
) -> None:
    assert install(tmp_path) == ("1.0", "")


@pytest.mark.parametrize("forged", ["setuptools", BUILT])
def test_a_wrong_hash_stops_it_before_anything_runs(tmp_path: Path, forged: str) -> None:
    ran, problem = install(tmp_path, forged=forged)
    assert not ran
    assert "Hash mismatch" in problem
    assert forged in problem


def test_any_other_source_package_is_refused_before_anything_runs(tmp_path: Path) -> None:
    ran, problem = install(tmp_path, name="another-package")
    assert not ran
    assert "building from source is disabled" in problem


def test_the_installer_itself_is_hash_checked_and_never_built() -> None:
    line = " ".join(command("pip install"))
    assert "--require-hashes" in line
    assert "--only-binary :all:" in line
    assert line.endswith(".venv/uv.txt")
