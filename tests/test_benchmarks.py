"""The file of results is put together from its parts."""

from benchmarks.measure import sections
from tests.project import ROOT


def test_a_table_that_is_measured_again_replaces_itself_alone() -> None:
    text = (ROOT / "benchmarks/results.md").read_text()
    found = sections(text)
    assert list(found) == ["", *"12345678"]
    assert found[""].startswith("# Benchmarks\n")
    again = found | sections("## 7. A study\n\nagain\n\n")
    assert "".join(again.values()) == text.replace(found["7"], "## 7. A study\n\nagain\n\n")
