"""Build a release, check it, install it where nothing else is, run the demo; uploads nothing.

    python tools/release.py [--target dist] [--packages-of-this-python] [--no-demo]

Writes wheel, source archive and RELEASE_NOTES.md to the target folder and says what was checked. What the
program needs comes from the package index, or with ``--packages-of-this-python`` from this interpreter.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_BYTES = 3 * 10**6
NEEDED = ("narrower/py.typed", "narrower/data/files/jets.npz", "narrower/cli/jsc-toy.toml")
NOT_WANTED = ("tests/", "docs/", "benchmarks/", "tools/")
BUILD = "import hatchling.build as b, sys; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"


class ReleaseError(Exception):
    """What must be mended before there is a release."""


def version() -> str:
    """The version that the project file says; no other place has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def notes(changelog: str, number: str) -> str:
    """What the changelog says of this version, or of what is not released yet.

    Raises:
        ReleaseError: it says nothing.
    """
    parts = re.split(r"^## \[([^\]]+)\].*$", changelog, flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    body = said.get(number, said.get("Unreleased", "")).strip()
    if not body:
        raise ReleaseError(f"CHANGELOG.md says nothing of {number}, nor below [Unreleased]")
    return f"# narrower {number}\n\n{body}\n"


def check_wheel(wheel: Path, number: str) -> list[str]:
    """What was found right about a wheel, a sentence each.

    Raises:
        ReleaseError: something is missing, or should not be there.
    """
    size = wheel.stat().st_size
    if size > MOST_BYTES:
        raise ReleaseError(f"{wheel.name}: {size:,} bytes; at most {MOST_BYTES:,} are wanted")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        header = HeaderParser().parsestr(opened.read(metadata).decode("utf-8"))
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ReleaseError(f"{wheel.name}: {', '.join(missing)} missing")
    strange = [name for name in names if name.startswith(NOT_WANTED)]
    if strange:
        raise ReleaseError(f"{wheel.name}: holds {', '.join(strange[:3])}")
    if header["Version"] != number:
        raise ReleaseError(f"{wheel.name}: is of version {header['Version']}, the project of {number}")
    return [
        f"{wheel.name}: {size:,} bytes, {len(names)} files, version {number}, "
        f"Python {header['Requires-Python']}",
        f"extras: {', '.join(header.get_all('Provides-Extra') or [])}",
    ]


def build(target: Path) -> None:
    """Wheel and source archive of the files that git knows."""
    listed = _output("git", "ls-files", "-z").split("\0")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "source"
        for name in filter(None, listed):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        python = _environment(Path(folder) / "builder", has_pip=True)
        _run(str(python), "-m", "pip", "install", "--quiet", "hatchling>=1.24")
        _run(str(python), "-c", BUILD, str(target.resolve()), folder=copy)


def try_out(wheel: Path, *, packages_of_this_python: bool, demo: bool) -> list[str]:
    """Install the wheel where nothing else is, and run it from an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(Path(folder) / "clean", has_pip=True)
        if packages_of_this_python:
            here = python.parents[1] / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
            (here / "site-packages" / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
            _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel))
        else:
            _run(str(python), "-m", "pip", "install", "--quiet", str(wheel))
        empty = Path(folder) / "empty"
        empty.mkdir()
        where = _output(str(python), "-I", "-c", "import narrower; print(narrower.__file__)", folder=empty)
        if not Path(where.strip()).is_relative_to(python.parents[1]):
            raise ReleaseError(f"the clean environment imports {where.strip()}")
        program = (str(python), "-I", "-m", "narrower")
        _run(*program, "doctor", folder=empty)
        done = ["installed from the wheel alone; narrower doctor finds nothing wrong"]
        if demo:
            _run(*program, "demo", folder=empty)
            (page,) = empty.rglob("report.html")
            done.append(f"narrower demo: a report of {page.stat().st_size:,} bytes")
        return done


def main() -> int:
    """Everything, one step after the other; 1 where something must be mended."""
    parser = argparse.ArgumentParser(description="Build and check a release; nothing is uploaded.")
    parser.add_argument("--target", type=Path, default=ROOT / "dist")
    parser.add_argument("--packages-of-this-python", action="store_true")
    parser.add_argument("--no-demo", action="store_true")
    asked = parser.parse_args()
    try:
        number = version()
        text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), number)
        asked.target.mkdir(parents=True, exist_ok=True)
        for old in (*asked.target.glob("narrower-*.whl"), *asked.target.glob("narrower-*.tar.gz")):
            old.unlink()
        build(asked.target)
        (wheel,) = asked.target.glob("*.whl")
        for line in check_wheel(wheel, number):
            print(line)
        if find_spec("twine") is None:
            print("twine is not installed: its check is left out")
        else:
            archives = [str(path) for path in asked.target.iterdir() if path.suffix in (".whl", ".gz")]
            _run(sys.executable, "-m", "twine", "check", "--strict", *archives)
            print("twine check: passed")
        for line in try_out(
            wheel.resolve(), packages_of_this_python=asked.packages_of_this_python, demo=not asked.no_demo
        ):
            print(line)
        (asked.target / "RELEASE_NOTES.md").write_text(text, encoding="utf-8")
        print(f"{asked.target / 'RELEASE_NOTES.md'}: {len(text.splitlines())} lines; nothing was uploaded")
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _environment(folder: Path, *, has_pip: bool) -> Path:
    venv.create(folder, with_pip=has_pip)
    return folder / "bin" / "python"


def _run(*command: str, folder: Path = ROOT) -> None:
    _output(*command, folder=folder)


def _output(*command: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command[:6])} ...: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
