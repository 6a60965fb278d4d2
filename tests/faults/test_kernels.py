"""Compiled code that is damaged, cut short or cannot be kept is compiled again."""

import importlib.util
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.network.fast.register import cached

SOURCE = """
def add_up(count):
    total = 0.0
    for number in range(count):
        total += number * 0.1
    return total
"""
EXPECTED = sum(number * 0.1 for number in range(5))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "kernel.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("kernel", None)


def kernel(source: Path) -> Any:
    """The function of the file, as a new process gets it."""
    spec = importlib.util.spec_from_file_location("kernel", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kernel"] = module  # what is loaded refers to it
    spec.loader.exec_module(module)
    return cached(module.add_up)


def kept(source: Path) -> Path:
    (path,) = source.parent.glob("__pycache__/*.nbc")
    return path


def is_loaded(source: Path) -> bool:
    """Call the function, which must be right; whether it was loaded, not compiled."""
    function = kernel(source)
    assert function(5) == EXPECTED
    return bool(sum(function.stats.cache_hits.values()))


@pytest.mark.promise(
    "Compiled code in which a bit has flipped, or that was cut short, is compiled again",
    quick=20,
    thorough=500,
)
def test_damaged_code_is_compiled_again(source: Path, times: int, rng: random.Random) -> None:
    assert not is_loaded(source)
    assert is_loaded(source)
    path = kept(source)
    whole = path.read_bytes()
    for number in range(times):
        content = bytearray(whole)
        place = rng.randrange(len(whole))
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content if number % 4 else whole[:place])
        assert not is_loaded(source), place
        assert is_loaded(source), "and kept again"


def test_other_code_is_not_mistaken_for_it(source: Path) -> None:
    assert not is_loaded(source)
    source.write_text(SOURCE + "\n# another line\n")
    assert not is_loaded(source)
    assert len(list(source.parent.glob("__pycache__/*.nbc"))) == 2


def test_a_folder_that_cannot_be_written_costs_only_time(source: Path) -> None:
    folder = source.parent / "__pycache__"
    folder.write_text("a file in its place, which root cannot write into either")
    assert not is_loaded(source)
    assert not is_loaded(source)
