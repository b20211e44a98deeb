"""Every sampler, run by the loop on jsc-toy under a constraint: the contract that all of them keep."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.report.record import RunRecord
from narrower.searching.samplers.catalogue import SAMPLERS
from narrower.settings.from_options import settings_from_options
from narrower.store.run_directory import RunDirectory
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore
from narrower.study.pose import pose
from narrower.study.problem import Problem, given_weights
from narrower.study.run_facts import begin_run
from narrower.study.study import search
from narrower.tasks.quality import Quality

TRIALS = 40
LIMIT = 5000


def problem(trained: Path, sampler: str, *, trials: int | None = TRIALS, seed: int = 0) -> Problem:
    settings = settings_from_options(
        layers=".*",
        widths={"data_in": ["4", "8"], "weight": ["2", "4", "8"], "bias": ["2", "4", "8"]},
        fractions="NA",
        objectives=["accuracy", "bitops"],
        bounds=[f"bitops<={LIMIT}"],
        setup={"sampler": sampler, "n_trials": trials},
        samples=256,
        top={"model": "jsc-toy", "dataset": "jets", "seed": seed},
    )
    return given_weights(pose(settings), trained)


def searched(posed: Problem, path: Path) -> tuple[RunRecord, list[Trial]]:
    run = RunDirectory(path)
    with run.locked(), begin_run(posed, run, "") as store:
        record = search(posed, run, store, show_progress=lambda _: nullcontext(lambda *_: None))
        return record, list(store.trials())


@pytest.mark.parametrize(
    "sampler", [pytest.param(name, marks=[pytest.mark.slow] * (name == "gp")) for name in sorted(SAMPLERS)]
)
def test_every_trial_is_admitted_none_is_repeated_and_the_seed_decides(
    sampler: str, trained: Path, tmp_path: Path
) -> None:
    record, trials = searched(problem(trained, sampler), tmp_path / "a" / "run")
    indices = [trial.plan_index for trial in trials]
    assert len(set(indices)) == len(indices)
    assert all(trial.metrics["bitops"] <= LIMIT for trial in trials)
    assert record.summary.trials == len(trials) <= TRIALS
    assert len(trials) == TRIALS or sampler in ("grid", "sensitivity")
    _, again = searched(problem(trained, sampler), tmp_path / "b" / "run")
    assert [trial.plan_index for trial in again] == indices
    assert [trial.metrics for trial in again] == [trial.metrics for trial in trials]
    if sampler not in ("grid", "brute_force", "sensitivity"):  # which draw nothing here
        _, other = searched(problem(trained, sampler, seed=1), tmp_path / "c" / "run")
        assert [trial.plan_index for trial in other] != indices


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "random"])
def test_a_space_that_is_used_up_ends_the_search_and_that_is_said(
    sampler: str, trained: Path, tmp_path: Path
) -> None:
    settings = settings_from_options(
        layers=r"seq_blocks\.2",
        widths={"data_in": ["4", "8"], "weight": ["2", "4", "8"], "bias": ["8"]},
        fractions="NA",
        objectives=["accuracy", "bitops"],
        bounds=[
            "bitops<=113000"
        ],  # the other layers take 106,496: 4x2, 4x4, 8x2 and 4x8 fit, 8x4 fits as well
        setup={"sampler": sampler, "n_trials": 1000},
        samples=64,
        top={"model": "jsc-toy", "dataset": "jets"},
    )
    posed = given_weights(pose(settings), trained)
    record, trials = searched(posed, tmp_path / "run")
    by_hand = {
        (data, weight)
        for data in (4, 8)
        for weight in (2, 4, 8)
        if 128 * data * weight + 104 * 32 * 32 <= 113_000
    }
    assert len(trials) == len(by_hand) < 6
    assert record.summary.exhausted
    assert record.summary.completeness.startswith(f"complete: {len(by_hand)} of 6")
    assert sum(record.summary.cut.values()) <= 6 - len(by_hand)


def test_brute_force_below_the_size_takes_a_seeded_subset_and_says_so(trained: Path, tmp_path: Path) -> None:
    posed = problem(trained, "brute_force", trials=30)
    record, trials = searched(posed, tmp_path / "run")
    assert record.summary.completeness == "30 of 5,832, not complete"
    assert [t.plan_index for t in trials] != sorted(t.plan_index for t in trials)


def test_results_of_a_smaller_space_are_taken_over(trained: Path, tmp_path: Path) -> None:
    def posed(widths: list[str]) -> Problem:
        settings = settings_from_options(
            layers=".*",
            widths={"data_in": ["8"], "weight": widths, "bias": ["8"]},
            fractions="auto",
            objectives=["accuracy", "bitops"],
            bounds=[],
            setup={"sampler": "brute_force"},
            samples=256,
            top={"model": "jsc-toy", "dataset": "jets"},
        )
        return given_weights(pose(settings), trained)

    _, small = searched(posed(["4", "8"]), tmp_path / "runs" / "a")
    record, large = searched(posed(["3", "4", "8"]), tmp_path / "runs" / "b")
    assert (len(small), len(large)) == (8, 27)
    assert record.summary.taken_over == 8
    fresh, alone = searched(posed(["3", "4", "8"]), tmp_path / "elsewhere" / "c")
    assert fresh.summary.taken_over == 0
    assert [t.metrics for t in alone] == [t.metrics for t in large]


def test_dropped_plans_leave_the_front_as_it_is(trained: Path, tmp_path: Path) -> None:
    def record_of(name: str, drops: bool) -> tuple[RunRecord, list[Trial]]:
        posed = problem(trained, "brute_force", trials=None)
        options = replace(posed.options, drop_dominated=drops, batch=200)
        return searched(replace(posed, options=options), tmp_path / name / "run")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrower.study.run_facts.fitting_batch_size", lambda *_: 16)  # 16 batches
        whole, all_trials = record_of("a", drops=False)
        record, trials = record_of("b", drops=True)
    assert record.members == whole.members
    dropped = [trial for trial in trials if trial.state == "dominated"]
    assert len(dropped) == record.summary.dominated > 100
    assert 0.05 < record.summary.saved_share < 0.5
    known = {trial.plan_index: trial.metrics["accuracy"] for trial in all_trials}
    assert {trial.plan_index for trial in trials} == known.keys()
    for trial in dropped:
        assert trial.reason is not None
        assert known[trial.plan_index] <= float(trial.reason.split()[3].rstrip(",:")) + 1e-4  # four digits
        # what dominated it has at least its accuracy at no more bitops
        assert any(
            member.metrics["accuracy"] >= known[trial.plan_index]
            and member.metrics["bitops"] <= trial.metrics["bitops"]
            for member in record.members
        )
    kept = {trial.plan_index: trial.metrics["accuracy"] for trial in trials if trial.state == "complete"}
    assert all(known[index] == accuracy for index, accuracy in kept.items())


@pytest.mark.parametrize("sampler", ["brute_force", "nsgaii"])
def test_several_processes_give_the_same_trials(sampler: str, trained: Path, tmp_path: Path) -> None:
    posed = problem(trained, sampler, trials=300)
    alone, trials = searched(posed, tmp_path / "a" / "run")
    shared = replace(posed, backend=BackendSettings(jobs=2))
    record, others = searched(shared, tmp_path / "b" / "run")
    assert [(t.plan_index, t.metrics) for t in others] == [(t.plan_index, t.metrics) for t in trials]
    assert record.members == alone.members


@pytest.mark.parametrize("sampler", ["tpe", "gp", "qmc", "nsgaiii"])
def test_the_number_of_proposals_at_a_time_is_a_setting(sampler: str, trained: Path, tmp_path: Path) -> None:
    sizes: list[int] = []
    posed = problem(trained, sampler, trials=24)
    posed = replace(posed, options=replace(posed.options, batch=8))
    original = Evaluator.evaluate

    def counting(self: Evaluator, plans: Sequence[Plan], *, loss: bool = False) -> list[Quality]:
        sizes.append(len(plans))
        return original(self, plans, loss=loss)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", counting)
        _, trials = searched(posed, tmp_path / "a" / "run")
    assert max(sizes[:3]) > 1
    _, again = searched(posed, tmp_path / "b" / "run")
    assert [trial.plan_index for trial in again] == [trial.plan_index for trial in trials]


def test_threads_and_batch_size_are_recorded(trained: Path, tmp_path: Path) -> None:
    searched(problem(trained, "random"), tmp_path / "run")
    with TrialStore.open(tmp_path / "run" / "trials.db") as store:
        facts = store.facts()
    assert facts["threads"] == 1
    assert isinstance(facts["batch size"], int)
