"""By how much mixing formats pays, against what the trials say when they are looked at one by one."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

from narrower.cli.print_record import mixing_lines
from narrower.report.findings import read_findings
from narrower.report.mixing import mixing_sentence
from narrower.report.record import RunRecord
from narrower.searching.recorded_space import recorded_space
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from tests.cli.settings_file import settings_file
from tests.conftest import RunNarrower
from tests.report.made_up_run import Widths, write_run

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


def heedless(widths: Widths) -> float:
    """An accuracy that depends on the first layer alone."""
    return 0.9 if widths["stem"] == (8, 8) else 0.8


def test_a_layer_that_may_be_narrow_saves_what_it_costs(tmp_path: Path) -> None:
    """By hand: 8 bits everywhere take 100 * 64 + 200 * 64; the second layer is as good at 4 and 2 bits."""
    sentence = read_findings(write_run(tmp_path / "run", accuracy=heedless)).mixing
    assert sentence is not None
    assert sentence.startswith("mixing formats pays: the best of 6 plans with the same widths in every layer")
    assert "(data 8, weight 8) has 90.0 % at bitops 19,200" in sentence
    assert sentence.endswith("has 90.0 % at bitops 8,000, 58.3% less")


def test_where_the_best_plan_is_uniform_mixing_gains_nothing(tmp_path: Path) -> None:
    sentence = read_findings(write_run(tmp_path / "run")).mixing
    assert sentence is not None
    assert sentence.startswith("mixing formats gains nothing")


def test_of_what_is_better_when_larger_mixing_gives_more(tmp_path: Path) -> None:
    def more(record: RunRecord) -> RunRecord:
        quality, cost = record.objectives
        (first, *_) = record.members
        member = replace(first, metrics={**first.metrics, "accuracy": 0.9, "bitops": 13_600.0})
        return replace(record, objectives=(quality, {**cost, "direction": "maximize"}), members=(member,))

    def first_narrow(widths: Widths) -> float:
        return 0.9 if widths["stem"] == (4, 2) else 0.8

    findings = read_findings(write_run(tmp_path / "run", accuracy=first_narrow, change=more))
    sentence = mixing_sentence(findings.record, findings.table, findings.uniform)
    assert sentence is not None
    assert "(data 4, weight 2) has 90.0 % at bitops 2,400" in sentence
    assert sentence.endswith("bitops 13,600, 466.7% more")


def test_without_a_cost_or_a_uniform_plan_nothing_is_said(tmp_path: Path) -> None:
    findings = read_findings(write_run(tmp_path / "run"))
    assert mixing_sentence(findings.record, findings.table, ()) is None
    only = replace(findings.record, objectives=findings.record.objectives[:1])
    assert mixing_sentence(only, findings.table, findings.uniform) is None
