"""What needs a package that is not installed says so before anything is done."""

import sys
from pathlib import Path

import pytest

from tests.conftest import RunNarrower


@pytest.mark.parametrize("command", [("report", "nowhere"), ("compare", "--config", "nowhere.toml")])
def test_pictures_without_matplotlib_name_the_extra(
    command: tuple[str, ...], run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, said = run_narrower(*command, "--png")
    assert code == 2
    assert "pip install 'narrower[png]'" in said
    assert not list(Path.cwd().iterdir())
