"""``narrower compare`` from a settings file to its page."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from narrower.study.comparison.record import read_comparison
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower
from tests.report.axe import audit, needs_axe
from tests.report.chromium import needs_chromium, open_page


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return settings_file(tmp_path / "toy.toml", samples=200, biases="[8]")


def compared(
    run_narrower: RunNarrower, config: Path, trained: Path, directory: str, *more: str
) -> dict[str, object]:
    code, out, err = run_narrower(
        "compare", "--config", str(config), "--load", str(trained), "--samplers", "random, guided",
        "--seeds", "6", "--trials", "10", "--output", directory, "--json", *more,
    )  # fmt: skip
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def test_a_comparison_is_repeatable_and_does_not_depend_on_processes(
    run_narrower: RunNarrower, config: Path, trained: Path
) -> None:
    one = compared(run_narrower, config, trained, "one", "--jobs", "1")
    two = compared(run_narrower, config, trained, "two", "--jobs", "2")

    def timeless(runs: object) -> list[object]:
        assert isinstance(runs, list)
        keys = ("sampler", "seed", "trials", "repeated", "drawn", "not_admitted", "failed")
        steps = ("trials", "hypervolume", "found", "distance", "best")
        return [[run[k] for k in keys] + [run["steps"][k] for k in steps] for run in runs]

    assert timeless(one["runs"]) == timeless(two["runs"])
    record = read_comparison(Path("one/comparison.json"))
    assert {run.sampler for run in record.runs} == {"random", "guided"}
    assert len(record.runs) == 12
    for run in record.runs:
        assert run.steps.hypervolume == tuple(sorted(run.steps.hypervolume))
        assert 0 <= run.steps.hypervolume[-1] <= 1 + 1e-9
    assert record.setup.basis == "exact"


def test_a_whole_space_reaches_the_exact_front(
    run_narrower: RunNarrower, config: Path, trained: Path
) -> None:
    code, out, err = run_narrower(
        "compare", "--config", str(config), "--load", str(trained), "--samplers", "brute_force",
        "--seeds", "1", "--trials", "100000", "--output", "all", "--json",
    )  # fmt: skip
    assert code == 0, err
    (summary,) = json.loads(out)["summaries"]
    assert summary["hypervolume"]["median"] == pytest.approx(1.0)
    assert summary["found"]["median"] == 1.0
    assert summary["distance"]["median"] == 0.0


def test_without_enumeration_the_yardstick_is_the_union_of_all_runs(
    run_narrower: RunNarrower, config: Path, trained: Path
) -> None:
    found = compared(run_narrower, config, trained, "union", "--enumerate", "0")
    setup, runs = found["setup"], found["runs"]
    assert isinstance(setup, dict)
    assert isinstance(runs, list)
    assert setup["basis"] == "union"
    assert max(run["steps"]["hypervolume"][-1] for run in runs) <= 1 + 1e-9


@needs_chromium
def test_the_page_draws_its_curves(
    run_narrower: RunNarrower, config: Path, trained: Path, tmp_path: Path
) -> None:
    compared(run_narrower, config, trained, "page")
    opened = open_page(Path("page/comparison.html"), tmp_path / "profile")
    assert opened.console == ()
    assert opened.drawn >= 6


def test_the_curves_are_drawn_as_pictures(run_narrower: RunNarrower, config: Path, trained: Path) -> None:
    compared(run_narrower, config, trained, "drawn", "--png")
    pictures = {path.stem for path in Path("drawn/comparison-plots").glob("*.png")}
    assert {"hypervolume", "hypervolume-over-time", "found", "distance", "accuracy"} <= pictures
    for path in Path("drawn/comparison-plots").glob("*.png"):
        pixels = imread(path)
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50  # more than empty axes


@needs_axe
def test_axe_finds_nothing_on_the_page(
    run_narrower: RunNarrower, config: Path, trained: Path, tmp_path: Path
) -> None:
    compared(run_narrower, config, trained, "page")
    text = Path("page/comparison.html").read_text(encoding="utf-8")
    for width, dark in ((1440, False), (390, True)):
        found = audit(text, tmp_path, width=width, dark=dark)
        assert found.violations == {}, (width, dark)
        assert found.wider <= 0, (width, dark)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--samplers", "tpa"], ["tpa", "tpe"]),
        (["--samplers", ","], ["--samplers", "no name"]),
        (["--seeds", "0"], ["--seeds", "equal to 1"]),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    run_narrower: RunNarrower, config: Path, options: list[str], expected: list[str]
) -> None:
    code, _, err = run_narrower("compare", "--config", str(config), *options)
    assert code == 2
    assert all(text in err for text in expected)
    assert not Path("runs").exists()


def test_an_earlier_comparison_is_not_overwritten(
    run_narrower: RunNarrower, config: Path, trained: Path
) -> None:
    compared(run_narrower, config, trained, "kept")
    before = Path("kept/comparison.json").read_bytes()
    code, _, err = run_narrower(
        "compare", "--config", str(config), "--load", str(trained), "--samplers", "random", "--output", "kept"
    )
    assert code == 2
    assert "holds a comparison already" in err
    assert Path("kept/comparison.json").read_bytes() == before
