"""docs/formats.md says what the program says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_formats_is_not_stale() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "write_format_docs.py"))
    written = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert tool["page"](written) == written, "the families have changed: run `make docs` and commit it"
