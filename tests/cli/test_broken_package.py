"""A package of the user's environment that fails while it is imported is named; it is no defect of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEARCH = "search --model jsc-tiny --dataset jets --samples 100 --sampler tpe --trials 2"


def with_broken(name: str, reason: str, directory: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where a package of that name fails on import."""
    package, facts = directory / name, directory / f"{name}-0.1.0.dist-info"
    package.mkdir()
    facts.mkdir()
    (package / "__init__.py").write_text(f"raise RuntimeError({reason!r})\n", encoding="utf-8")
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", encoding="utf-8"
    )
    paths = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(directory)])
    return subprocess.run(
        [sys.executable, "-m", "narrower", *command.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )


@pytest.fixture
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not below the current directory: what lies there is the user's own."""
    return tmp_path_factory.mktemp("packages")


def test_a_torchvision_that_does_not_fit_is_not_imported(packages: Path) -> None:
    reason = "operator torchvision::nms does not exist"
    done = with_broken("torchvision", reason, packages, "train jsc-tiny jets --max-epochs 1")
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_needed_and_fails_is_named(packages: Path) -> None:
    done = with_broken("colorlog", "it does not fit", packages, SEARCH)
    assert done.returncode == 2
    assert (
        "the package colorlog 0.1.0 of this Python environment cannot be imported (optuna needs it)"
        in done.stderr
    )
    assert "RuntimeError: it does not fit" in done.stderr
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr
