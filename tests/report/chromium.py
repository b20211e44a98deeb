"""A headless Chromium, where there is one."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(
    FOUND is None, reason=f"no headless browser: none of {', '.join(PROGRAMS)} is installed"
)


@dataclass(frozen=True)
class Opened:
    """What a page became: its document after scripts ran, and what it wrote to the console."""

    document: str
    console: tuple[str, ...]

    @property
    def drawn(self) -> int:
        """How many plots the page says it has drawn."""
        found = re.search(r'<html[^>]* data-drawn="(\d+)"', self.document)
        return int(found[1]) if found else 0


def open_page(path: Path, profile: Path, *, dark: bool = False, width: int = 1200) -> Opened:
    """Open a file without any network."""
    assert FOUND is not None
    done = subprocess.run(
        [
            FOUND,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--window-size={width},900",
            *(["--force-dark-mode"] if dark else []),
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=20000",
            "--dump-dom",
            path.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return Opened(done.stdout, tuple(line for line in done.stderr.splitlines() if ":CONSOLE" in line))
