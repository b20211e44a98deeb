"""docs/cli.md says what the program says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_not_stale() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "write_cli_docs.py"))
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert tool["page"]() == written, "the command line has changed: run `make docs` and commit docs/cli.md"
