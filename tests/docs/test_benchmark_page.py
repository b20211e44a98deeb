"""benchmarks/README.md and docs/results.md say what was measured and kept."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "write_benchmark_tables.py"))


def test_the_page_is_not_stale() -> None:
    assert TOOL["PAGE"].read_text(encoding="utf-8") == TOOL["page"]()


@pytest.mark.parametrize("path", sorted(TOOL["RESULTS"].glob("*.json")), ids=lambda path: path.stem)
def test_what_is_kept_says_where_it_was_measured(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert (ROOT / "benchmarks" / f"{path.stem}.py").is_file()
    assert kept["commit"]
    assert kept["processor"]
    assert kept["versions"]["torch"]
    assert kept["rows"]


def test_the_counts_beside_published_ones_are_those_that_are_kept() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    rows = json.loads((TOOL["RESULTS"] / "published.json").read_text(encoding="utf-8"))["rows"]
    for figures in rows.values():
        for name, value in figures.items():
            assert f" {value:,} " in page, (name, value)
