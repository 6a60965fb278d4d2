"""docs/licences.md names every package that the pipeline needs, as locked, with its licence."""

import re

import pytest

import licences
from tests.project import ROOT

PAGE = (ROOT / "docs/licences.md").read_text()
HEADER, *ROWS = re.findall(r"^\| ([a-z0-9-]+) \| (\S+) \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_row_is_a_locked_package_with_a_licence() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)", lock, re.MULTILINE))
    names = [name for name, *_ in ROWS]
    assert len(ROWS) == PAGE.count("\n| ") - 1
    assert names == sorted(set(names))
    for name, version, licence in ROWS:
        assert (name, version) in locked, f"{name}: run `make licences`"
        assert licence.strip(), name
        assert "unknown" not in licence.lower(), name
    assert {"dvc", "numpy", "torch"} <= set(names)
    assert not {"pytest", "ray", "uv"} & set(names)


def test_the_page_is_what_make_licences_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    if licences.here() not in PAGE:
        pytest.skip("other packages are installed with another Python or on another system")
    monkeypatch.chdir(ROOT)
    assert licences.page() == PAGE, "run `make licences`"


def test_a_package_without_a_stated_licence_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(licences.metadata.Distribution):
        """A package with a module and nothing said of its licence."""

        def read_text(self, filename: str) -> str | None:
            return {"METADATA": "Name: silent\n", "RECORD": "silent.py,,\n"}.get(filename)

        def locate_file(self, path: object) -> object:
            return ROOT / "run.py"

    monkeypatch.setattr(licences.metadata, "distribution", lambda name: Silent())
    assert licences.licence("silent") is None
