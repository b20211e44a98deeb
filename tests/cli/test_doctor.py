"""``narrower doctor`` says what is installed and what is missing for what."""

import json
import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from narrower.store import installation
from tests.conftest import RunNarrower
from tests.docs.console import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(autouse=True)
def _as_installed_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip reads of the project file; an editable installation may be older than that."""
    lines = [*PROJECT["dependencies"]]
    for extra, packages in PROJECT["optional-dependencies"].items():
        lines += [f'{package}; extra == "{extra}"' for package in packages]
    monkeypatch.setattr(installation, "requires", lambda _name: lines)


def test_every_requirement_is_named_with_the_version_that_is_imported(run_narrower: RunNarrower) -> None:
    code, out, err = run_narrower("doctor", "--json")
    assert code == 0, err
    found = json.loads(out)
    asked = {text.split(">")[0] for text in PROJECT["dependencies"]}
    assert set(found["packages"]) == asked | {"narrower"}
    for name in ("torch", "numpy", "optuna"):
        assert found["packages"][name] == version(name)


def test_every_extra_for_users_has_its_purpose(run_narrower: RunNarrower) -> None:
    found = json.loads(run_narrower("doctor", "--json")[1])["extras"]
    assert set(found) == set(PROJECT["optional-dependencies"]) - {"dev", "docs"}
    assert all(extra["purpose"] for extra in found.values())
    assert set(installation.PURPOSES) == set(found)


def test_what_is_missing_comes_with_the_command_that_installs_it(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = installation.version_of
    monkeypatch.setattr(installation, "version_of", lambda name: None if name == "h5py" else known(name))
    code, out, _ = run_narrower("doctor")
    assert code == 0
    assert "pip install 'narrower[hdf5]'" in out
    monkeypatch.setattr(installation, "version_of", lambda name: None if name == "rich" else known(name))
    code, out, _ = run_narrower("doctor")
    assert code == 2
    assert "missing: rich" in out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_where_nothing_can_be_written_is_said(run_narrower: RunNarrower) -> None:
    Path.cwd().chmod(0o500)
    code, out, _ = run_narrower("doctor")
    Path.cwd().chmod(0o700)
    assert code == 2
    assert "nothing can be written" in out
