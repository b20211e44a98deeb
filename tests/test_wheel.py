"""The wheel alone is enough: what is in it, and that it works where there is no checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.docs.console import ROOT

pytestmark = pytest.mark.slow
MOST_BYTES = 3 * 10**6


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with wheel and sdist of a copy of the checkout's files."""
    directory = tmp_path_factory.mktemp("built")
    copy = directory / "source"
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    program = (
        "import hatchling.build as b, os; os.makedirs('dist'); b.build_wheel('dist'); b.build_sdist('dist')"
    )
    environment = directory / "builder"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run((python, "-m", "pip", "install", "--quiet", "hatchling>=1.24"), check=True)
    subprocess.run((python, "-c", program), cwd=copy, check=True)
    return copy / "dist"


def test_the_wheel_is_small_and_whole(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < MOST_BYTES
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"narrower/py.typed", "narrower/data/files/jets.npz", "narrower/cli/jsc-toy.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks"))]
    number = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert wheel.name.startswith(f"narrower-{number}-")


def test_the_source_archive_holds_what_a_checkout_holds(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/narrower/py.typed", "tests/conftest.py"} <= names


def test_a_clean_environment_runs_demo_doctor_and_init(built: Path, tmp_path: Path) -> None:
    environment = tmp_path / "clean"
    venv.create(environment, with_pip=True)
    python, narrower = environment / "bin" / "python", environment / "bin" / "narrower"
    (wheel,) = built.glob("*.whl")
    subprocess.run((python, "-m", "pip", "install", "--quiet", "--no-deps", wheel), check=True)
    # Its requirements come from here; the checkout does not, as a path of a path is not followed.
    (site,) = environment.glob("lib/python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "requirements.pth").write_text("\n".join(here) + "\n", encoding="utf-8")

    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=alone)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(python, "-c", "import narrower; print(narrower.__file__)").startswith(str(environment))
    said = run(narrower, "doctor")
    assert "nothing is missing" in said or "pip install 'narrower[" in said
    assert "front of jsc-toy on jets" in run(narrower, "demo")
    assert (tmp_path / "narrower-demo" / "runs" / "jsc-toy" / "report.html").is_file()
    assert "729 plans" in run(narrower, "init", "jsc-toy", "jets")
