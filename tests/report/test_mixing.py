"""By how much mixing formats pays, against what the trials say when they are looked at one by one."""

import json
import sqlite3
from pathlib import Path

from narrower.cli.show import mixing_lines
from narrower.searching.recorded_space import recorded_space
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower

LAYERS = 3


def test_the_cheapest_plan_as_good_as_the_best_uniform_one_is_named(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(
        *(tmp_path / "toy.toml",), sampler="random", samples=400, setup="n_trials = 200\nuniform_first = true"
    )
    code, out, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    run = RunDirectory(Path("runs/toy"))
    (sentence,) = mixing_lines(run)
    assert sentence in " ".join((out + err).split())
    with TrialStore.open(run.trials, read_only=True) as store:
        trials, space = list(store.trials()), recorded_space(store.facts())
    plans = [space.plan(trial.plan_index) for trial in trials]
    # 8, 4 and 2 bits: the three plans that are tried first
    assert [len({json.dumps(layer) for layer in plan.values()}) for plan in plans[:3]] == [1, 1, 1]
    uniform = [
        trial.metrics
        for trial, plan in zip(trials, plans, strict=True)
        if len(plan) == LAYERS and len({json.dumps(layer) for layer in plan.values()}) == 1
    ]
    best = max(uniform, key=lambda m: (m["accuracy"], -m["average_bitwidth"]))
    as_good = [t.metrics["average_bitwidth"] for t in trials if t.metrics["accuracy"] >= best["accuracy"]]
    saved = 1 - min(as_good) / best["average_bitwidth"]
    assert f"the best of {len(uniform)} plans" in sentence
    if saved > 0:
        assert sentence.startswith("mixing formats pays")
        assert sentence.endswith(f"{saved:.1%} less")
    else:
        assert sentence.startswith("mixing formats gains nothing")


def test_the_same_trials_come_again_when_a_run_is_resumed(
    run_narrower: RunNarrower, trained: Path, tmp_path: Path
) -> None:
    config = settings_file(
        *(tmp_path / "toy.toml",),
        sampler="tpe",
        samples=100,
        weights="[4, 8]",
        setup="n_trials = 24\nuniform_first = true",
    )
    code, _, err = run_narrower("search", "--config", config, "--load", trained)
    assert code == 0, err
    run = RunDirectory(Path("runs/toy"))

    def trials() -> list[int]:
        with TrialStore.open(run.trials, read_only=True) as store:
            return [trial.plan_index for trial in store.trials()]

    whole = trials()
    connection = sqlite3.connect(run.trials)
    connection.execute("DELETE FROM trials WHERE number >= 9")
    connection.commit()
    connection.close()
    assert trials() == whole[:9]
    code, _, err = run_narrower("search", "--resume", "runs/toy")
    assert code == 0, err
    assert trials() == whole
