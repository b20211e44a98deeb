"""``narrower search --tracker`` and ``[search.tracker]``."""

import csv
import sys
from pathlib import Path

import pytest

from narrower.store.trials import TrialStore
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

TRIALS = 'n_trials = 6\n[search.tracker]\nnames = ["jsonl"]\n'


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "logs" / "trials.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_file_names_trackers_and_options_take_their_place(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(tmp_path / "c.toml", sampler="random", setup=TRIALS)
    assert run_narrower("search", "--config", config, "--load", trained)[0] == 0
    assert len(Path("runs/toy/logs/trials.jsonl").read_text().splitlines()) == 6
    options = ("--load", trained, "--tracker", "csv", "--project", "other")
    assert run_narrower("search", "--config", config, *options)[0] == 0
    other = Path("runs/other")
    assert not (other / "logs" / "trials.jsonl").exists()
    with TrialStore.open(other / "trials.db", read_only=True) as store:
        assert [int(row["number"]) for row in rows(other)] == [trial.number for trial in store.trials()]


def test_a_search_that_goes_on_goes_on_with_its_trackers(run_narrower: RunNarrower, trained: Path) -> None:
    common = "--model jsc-toy --dataset jets --samples 200 --sampler random --trials 5 --tracker csv"
    assert run_narrower("search", *common.split(), "--load", trained, "--project", "p")[0] == 0
    run = Path("runs/p")
    settings = (run / "settings.toml").read_text().replace("n_trials = 5", "n_trials = 9")
    (run / "settings.toml").write_text(settings)
    (run / "logs" / "trials.csv").unlink()
    code, _, said = run_narrower("search", "--resume", run)
    assert (code, [int(row["number"]) for row in rows(run)]) == (0, list(range(9))), said


def test_a_package_that_is_missing_is_said_before_anything_is_done(
    run_narrower: RunNarrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, said = run_narrower("search", "--model", "jsc-toy", "--dataset", "jets", "--tracker", "mlflow")
    assert code == 2
    assert "pip install 'narrower[mlflow]'" in said
    assert not list(Path.cwd().iterdir())


def test_an_unknown_tracker_is_refused(run_narrower: RunNarrower) -> None:
    code, _, said = run_narrower(
        "search", "--model", "jsc-toy", "--dataset", "jets", "--tracker", "tensorbord"
    )
    assert code == 2
    assert "did you mean 'tensorboard'" in said
