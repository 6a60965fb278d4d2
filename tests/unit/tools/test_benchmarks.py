"""The file of results is put together from its parts."""

from tests.project import ROOT
from tools.benchmarks.measure import sections


def test_a_table_that_is_measured_again_replaces_only_itself() -> None:
    text = (ROOT / "tools/benchmarks/results.md").read_text()
    parts = sections(text)
    assert list(parts) == ["", *"1234567"]
    assert parts[""].startswith("# Benchmarks\n")
    again = parts | sections("## 7. A study\n\nagain\n\n")
    assert "".join(again.values()) == text.replace(parts["7"], "## 7. A study\n\nagain\n\n")
