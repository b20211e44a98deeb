"""With what a run was made: versions, machine and state of the user's repository."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("narrower", "torch", "numpy", "optuna", "scipy", "scikit-learn", "lightning", "onnxruntime")


def environment() -> dict[str, object]:
    """Versions, platform, git commit and time, as plain values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: _version(package) for package in PACKAGES},
        "git": _git_state(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def changed_versions(recorded: object) -> list[str]:
    """What differs between a recorded environment and the present one, in words."""
    before = recorded if isinstance(recorded, dict) else {}
    versions = before.get("versions")
    if not isinstance(versions, dict):
        return ["the versions of then are not recorded"]
    pairs: list[tuple[str, object, str | None]] = [
        ("python", before.get("python"), platform.python_version())
    ]
    pairs += [(package, versions.get(package), _version(package)) for package in PACKAGES]
    return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """Commit of the working directory, with a mark where files were changed; None outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit} (with changes)" if _git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
