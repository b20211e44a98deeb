"""axe-core on a page in Chromium: what it finds wrong, and whether the page is wider than its window."""

import json
import re
import subprocess
from dataclasses import dataclass
from html import unescape
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.report.chromium import FOUND, PROGRAMS

PACKAGE = "axe_core_python"  # of the distribution axe-core-python, which holds axe.min.js
needs_axe = pytest.mark.skipif(
    FOUND is None or find_spec(PACKAGE) is None,
    reason=f"needs a browser ({', '.join(PROGRAMS)}) and the package axe-core-python",
)
RUN = """
<script>
addEventListener("load", () => setTimeout(() => axe.run(document).then((found) => parent.postMessage(
  JSON.stringify({
    violations: found.violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120))]),
    wider: document.documentElement.scrollWidth - innerWidth,
    passes: found.passes.length,
  }), "*")), 500));
</script>
"""
FRAME = """<!doctype html><html lang="en"><body style="margin:0">
<iframe src="{source}" style="border:0;width:{width}px;height:3000px"></iframe><pre id="found"></pre>
<script>onmessage = (event) => {{ document.getElementById("found").textContent = event.data; }};</script>
"""


@dataclass(frozen=True)
class Audit:
    """Rules that are broken with the elements, pixels beyond the right edge, and how many rules hold."""

    violations: dict[str, list[str]]
    wider: int
    passes: int


def audit(page: str, directory: Path, *, width: int, dark: bool) -> Audit:
    """Open a page at a width and let axe-core look at it."""
    assert FOUND is not None
    axe = files(PACKAGE).joinpath("axe.min.js").read_text(encoding="utf-8")
    source = directory / "page.html"
    source.write_text(page.replace("</body>", f"<script>{axe}</script>{RUN}</body>"), encoding="utf-8")
    frame = directory / "frame.html"
    frame.write_text(FRAME.format(source=source.as_uri(), width=width), encoding="utf-8")
    done = subprocess.run(
        [
            FOUND,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            f"--user-data-dir={directory / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--window-size={width},3000",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            "--virtual-time-budget=30000",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said, done.stderr
    assert said[1], done.stderr
    found = json.loads(unescape(said[1]))
    return Audit(dict(found["violations"]), found["wider"], found["passes"])
