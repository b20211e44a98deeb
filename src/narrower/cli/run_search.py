"""Run the search that a command asked for, say what is worth knowing on the way, and print its record."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from narrower.cli.console import messages, note, print_json, tell, warn
from narrower.cli.passed_over import say_ignored
from narrower.cli.watch import watched
from narrower.errors import SettingsError
from narrower.settings.backend import BackendWishes
from narrower.settings.dump import settings_text
from narrower.settings.load import LoadedSettings, located
from narrower.store.run_directory import RunDirectory, claimed, first_free
from narrower.store.run_log import RunLog
from narrower.training.record import is_unfinished

if TYPE_CHECKING:
    from narrower.report.record import RunRecord
    from narrower.settings.schema import RunSettings
    from narrower.study.problem import Problem
    from narrower.study.study import Study


def run_search(
    loaded: LoadedSettings,
    run: RunDirectory | None,
    load: Path | None,
    may_train: bool,
    as_json: bool,
    is_watched: bool,
    backend: BackendWishes,
    cache_bytes: int,
) -> int:
    """Search, print the record, and return the exit code."""
    from narrower.cli.progress import calibration_progress, search_progress
    from narrower.settings.convert_preparation import trains_after
    from narrower.store.trackers.catalogue import build_trackers
    from narrower.study.run_facts import begin_run, resumed_run
    from narrower.study.study import search, with_weights
    from narrower.study.tracked import Followers
    from narrower.study.unseen import unseen_widths

    trackers = build_trackers(loaded.settings.search.tracker.settings)
    study = _posed(loaded, run, load, backend)
    problem = study.problem
    needs_training = study.weights is None and problem.preparation.needs_weights
    must_be_there = needs_training and not may_train
    if must_be_there:  # before anything is written
        _check_weights(first_free(study.name, holds_search))
    with (
        run.locked() if run else claimed(study.name, holds_search) as target,
        RunLog(target.log) as log,
        watched(target) if is_watched else nullcontext(),
    ):
        if must_be_there:
            _check_weights(target)
        began = "resumed" if run else "began"
        log.write(f"{began}: {problem.space.size:,} plans, {problem.options}, {problem.backend}")

        def say(text: str) -> None:
            tell(text)
            log.write(text)

        if run is None and target.path != (wanted := first_free(study.name, lambda _run: False)).path:
            say(f"{wanted.path} holds a search: this one is {target.path}")
        if run is None and study.weights is not None:
            say(f"weights: {study.weights}")
        problem = with_weights(
            study,
            target,
            say=say,
            show_progress=messages().is_terminal,
            calibrating=calibration_progress(),
        )
        warn(*unseen_widths(problem))
        for warning in (*study.settings.notes, *problem.notes, *unseen_widths(problem)):
            log.write(f"warning: {warning}")
        settings = settings_text(study.settings.settings)
        with resumed_run(problem, run, say=warn) if run else begin_run(problem, target, settings) as store:
            record = search(
                problem,
                target,
                store,
                show_progress=search_progress,
                cache_bytes=cache_bytes,
                say=warn,
                followers=Followers(trackers),
            )
        if trains_after(study.settings.settings) and record.summary.stopped != "interrupted":
            _finetune(problem, target, study.settings.settings, record)
        log.write(f"ended: {record.summary.completeness}, {len(record.members)} plans on the front")
    _print(record, target, as_json=as_json)
    return 130 if record.summary.stopped == "interrupted" else 0


def _print(record: "RunRecord", target: RunDirectory, *, as_json: bool) -> None:
    from narrower.cli.print_record import print_record

    if as_json:
        print_json(record.to_dict() | {"run": str(target.path)})
    else:
        print_record(record, target)


def _finetune(problem: "Problem", run: RunDirectory, settings: "RunSettings", record: "RunRecord") -> None:
    from narrower.cli.progress import step_progress
    from narrower.settings.convert_preparation import finetuning
    from narrower.study.finetuned_run import finetuned

    how = finetuning(settings)
    members = [member.number for member in record.members]
    with step_progress() as seen:
        finetuned(problem, run, how, [], members, every=how.rounds > 1, seen=seen, say=warn)


def _check_weights(target: RunDirectory) -> None:
    """Check that an earlier training left its weights in this directory."""
    if not target.checkpoint.is_file() or is_unfinished(target.path):
        raise SettingsError("there are no weights: give --load FILE or load_name, or leave out --no-train")


def holds_search(run: RunDirectory) -> bool:
    """Whether the trials of a search lie here already."""
    return run.trials.exists()


def _posed(
    loaded: LoadedSettings, run: RunDirectory | None, load: Path | None, backend: BackendWishes
) -> "Study":
    """What is searched, after what is wrong with it or passed over was said."""
    from narrower.cli.progress import calibration_progress
    from narrower.study.limits import check_counted
    from narrower.study.possible import check_backend
    from narrower.study.study import pose_study, resumed_study, settled

    loaded = settled(loaded, is_new=run is None)
    say_ignored(loaded)
    shown = calibration_progress()
    study = (
        resumed_study(loaded, run, shown) if run else pose_study(loaded, load, say=note, calibrating=shown)
    )
    problem = study.problem
    warn(*problem.notes)
    if run is None:  # a search does not begin where plans reach too little of the network
        with located(loaded.layers):
            check_counted(problem.program.network, allowed=problem.options.allow_uncounted)
    problem = replace(problem, backend=backend.over(problem.backend))
    check_backend(problem)
    return replace(study, problem=problem)
