"""``narrower demo`` does the main job in a new folder, with the settings of configs/jsc-toy.toml."""

from importlib.resources import files
from pathlib import Path

import pytest

from narrower.cli import demo
from tests.conftest import RunNarrower
from tests.docs.console import ROOT


def test_the_settings_are_those_of_the_checkout() -> None:
    text = (ROOT / "configs" / "jsc-toy.toml").read_text(encoding="utf-8")
    shipped = files("narrower.cli").joinpath(demo.SETTINGS).read_text(encoding="utf-8")
    assert shipped == "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("#:schema")
    )


def test_everything_lies_in_the_folder_and_nowhere_else(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = files("narrower.cli").joinpath(demo.SETTINGS).read_text(encoding="utf-8")
    short = Path("short")
    short.mkdir()
    quick = settings.replace("max_epochs = 10", "max_epochs = 1").replace("[2, 4, 8]", "[2, 8]")
    (short / demo.SETTINGS).write_text(quick, encoding="utf-8")
    monkeypatch.setattr(demo, "files", lambda _package: short.absolute())
    code, out, err = run_narrower("demo", "tried")
    assert code == 0, err
    assert "front of jsc-toy on jets" in out
    assert Path("tried/runs/jsc-toy/report.html").stat().st_size > 10**6
    assert sorted(path.name for path in Path().iterdir()) == ["short", "tried"]
    code, _, err = run_narrower("demo", "tried")
    assert code == 2
    assert "new folder" in err
