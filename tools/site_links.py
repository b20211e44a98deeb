"""A hook of mkdocs: links to files beside docs/ become code, for the site has no such pages."""

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:configs|src|benchmarks|tools|[A-Z]+\.md)[^)]*\)")
FENCE = re.compile(r"^```(\w+) numbers-vary$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page as the site shows it."""
    return FENCE.sub(r"```\1", OUTSIDE.sub(r"\1", markdown))
