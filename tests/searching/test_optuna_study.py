from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.pool import NullPool

from narrower.errors import OutputError
from narrower.report.read_record import read_record
from narrower.searching.objective import Constraint, Objective, Objectives
from narrower.searching.optuna_study import write_study
from narrower.store.trials import TrialStore
from tests.report.made_up_run import additive_accuracy, all_widths, bitops, write_run

BOTH = Objectives((Objective("accuracy", "maximize"), Objective("bitops", "minimize", 0.001)))
PLANS = all_widths(("stem", "head"))


def exported(
    path: Path, objectives: Objectives = BOTH, *constraints: Constraint, **run: object
) -> optuna.Study:
    with TrialStore.open(write_run(path / "run", **run).trials, read_only=True) as store:  # type: ignore[arg-type]
        write_study(store, path / "study.db", "made up", objectives, constraints)
    return loaded(path)


def loaded(path: Path) -> optuna.Study:
    """The study, read by connections that are closed after each use."""
    url, kept = f"sqlite:///{path / 'study.db'}", {"poolclass": NullPool}
    return optuna.load_study(study_name="made up", storage=RDBStorage(url, engine_kwargs=kept))


def test_optuna_reads_every_trial_with_its_plan_and_values(tmp_path: Path) -> None:
    study = exported(tmp_path)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "bitops"]
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(36))
    for trial, plan in zip(trials, PLANS, strict=True):
        assert trial.values == [additive_accuracy(plan), bitops(plan)]
        bits = {
            f"{layer}.{what}": n
            for layer, both in plan.items()
            for what, n in zip(("data", "weight"), both, strict=True)
        }
        assert trial.params == bits
        assert trial.user_attrs["plan_index"] == trial.number
        assert trial.user_attrs["loss"] == 1 - additive_accuracy(plan)
    assert study.user_attrs["formats"]["stem.weight"]["4"] == "fixed(4,frac=2)"


def test_optuna_finds_the_same_front(tmp_path: Path) -> None:
    study = exported(tmp_path)
    front = read_record(write_run(tmp_path / "again")).members
    assert {tuple(trial.values) for trial in study.best_trials} == {
        (member.metrics["accuracy"], member.metrics["bitops"]) for member in front
    }


def test_times_are_those_of_the_run(tmp_path: Path) -> None:
    trial = exported(tmp_path).get_trials()[3]
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    finished = (began + timedelta(seconds=0.53)).astimezone().replace(tzinfo=None)
    assert trial.datetime_complete == finished
    assert trial.datetime_start == finished - timedelta(seconds=0.001)


def test_failed_trials_keep_their_reason_and_have_no_values(tmp_path: Path) -> None:
    study = exported(tmp_path, tried=[4, 9], failed={0: "diverged"})
    failed, complete = study.get_trials()
    assert (failed.state, failed.values) == (TrialState.FAIL, None)
    assert failed.user_attrs["fail_reason"] == "diverged"
    assert complete.state == TrialState.COMPLETE


def test_what_was_dropped_as_dominated_is_pruned_with_its_bound(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tried=[4, 9])
    bound = "accuracy at most 0.5"
    with TrialStore.open(run.trials) as store:
        store.append([(2, 3, "dominated", bound, 0.1, 1.0, (None, None, 800.0, 50.0))])
        assert write_study(store, tmp_path / "study.db", "made up", BOTH) == 3
    study = loaded(tmp_path)
    dropped = study.get_trials()[2]
    assert (dropped.state, dropped.values) == (TrialState.PRUNED, None)
    assert (dropped.user_attrs["prune_reason"], dropped.user_attrs["bitops"]) == (bound, 800.0)
    assert len(study.best_trials) <= 2


def test_a_sum_is_one_value_in_its_direction(tmp_path: Path) -> None:
    study = exported(tmp_path, Objectives(BOTH.each, "maximize"), tried=[17])
    # a metric whose direction is not that of the sum is subtracted
    expected = additive_accuracy(PLANS[17]) - 0.001 * bitops(PLANS[17])
    assert study.get_trials()[0].value == pytest.approx(expected)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE"]


def test_trials_that_break_a_constraint_are_not_among_the_best(tmp_path: Path) -> None:
    study = exported(tmp_path, BOTH, Constraint("accuracy", minimum=0.85))
    assert min(trial.values[0] for trial in study.best_trials) >= 0.85
    assert len(study.get_trials()) == 36


def test_the_study_can_be_continued_by_optuna(tmp_path: Path) -> None:
    study = exported(tmp_path, tried=[1, 2, 3])
    trial = study.ask(study.get_trials()[0].distributions)
    study.tell(trial, [0.5, 1.0])
    assert [t.number for t in study.get_trials()] == [0, 1, 2, 3]


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        exported(tmp_path)
    assert (tmp_path / "study.db").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (tmp_path / "file").touch()
    with (
        TrialStore.open(run.trials, read_only=True) as store,
        pytest.raises(OutputError, match="cannot be written"),
    ):
        write_study(store, tmp_path / "file" / "study.db", "made up", BOTH)
