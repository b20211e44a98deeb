"""The script that makes a release refuses what must not be released, and uploads nothing."""

import runpy
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.console import ROOT

SCRIPT = ROOT / "tools" / "release.py"
TOOL: dict[str, Any] = runpy.run_path(str(SCRIPT))
notes: Callable[[str, str], str] = TOOL["notes"]
LOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- new\n\n## [0.1.0] - 2026-01-01\n\n- first\n"


def wheel(path: Path, *, version: str = "0.2.0", extra: tuple[str, ...] = (), missing: str = "") -> Path:
    made = path / f"narrower-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as opened:
        for name in (*TOOL["NEEDED"], *extra):
            if name != missing:
                opened.writestr(name, "x")
        opened.writestr(
            f"narrower-{version}.dist-info/METADATA",
            f"Metadata-Version: 2.4\nName: narrower\nVersion: {version}\nProvides-Extra: png\n",
        )
    return made


def test_notes_are_those_of_the_version_or_of_what_is_not_released() -> None:
    assert notes(LOG, "0.1.0") == "# narrower 0.1.0\n\n- first\n"
    assert notes(LOG, "0.2.0") == "# narrower 0.2.0\n\n### Added\n\n- new\n"
    with pytest.raises(TOOL["ReleaseError"], match=r"says nothing of 0\.2\.0"):
        notes("# Changelog\n\n## [Unreleased]\n", "0.2.0")


def test_the_notes_of_this_project_begin_with_changed_results() -> None:
    text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), TOOL["version"]())
    assert text.index("### Changed results") < text.index("### Added")


def test_a_wheel_that_is_whole_is_described_and_others_are_refused(tmp_path: Path) -> None:
    first, extras = TOOL["check_wheel"](wheel(tmp_path), "0.2.0")
    assert "version 0.2.0" in first
    assert extras == "extras: png"
    for wrong, said in (
        ({"missing": "narrower/py.typed"}, "py.typed missing"),
        ({"extra": ("tests/conftest.py",)}, "holds tests/conftest.py"),
        ({"version": "0.1.9"}, "of version 0.1.9, the project of 0.2.0"),
    ):
        with pytest.raises(TOOL["ReleaseError"], match=said):
            TOOL["check_wheel"](wheel(tmp_path, **wrong), "0.2.0")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_release_is_built_checked_and_tried_out(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--target", str(tmp_path), "--packages-of-this-python"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "narrower demo: a report of" in done.stdout
    assert {path.suffix for path in tmp_path.iterdir()} == {".whl", ".gz", ".md"}
