"""``narrower search``: the Pareto front of quality against cost."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import messages, print_json
from narrower.errors import RunError, SettingsError
from narrower.settings.load import LoadedSettings, load_settings
from narrower.store.run_directory import RUNS, RunDirectory

Config = Annotated[Path | None, typer.Option("--config", help="What to search (TOML).")]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model.")]
Train = Annotated[bool, typer.Option("--train/--no-train", help="Train first where there are no weights.")]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this run.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def search(
    config: Config = None,
    load: Load = None,
    train: Train = True,
    resume: Resume = None,
    as_json: Json = False,
) -> int:
    """Search the plans of a settings file and print the front.

    Writes a run below runs/. Ctrl-C ends the search and writes the front of what was tried.
    """
    if (config is None) == (resume is None):
        raise SettingsError("give either --config FILE for a new search or --resume RUN")
    run = RunDirectory(resume) if resume else None
    if run is not None:
        run.require()
    loaded = load_settings(run.settings if run else config)  # type: ignore[arg-type]
    _say_ignored(loaded)
    from narrower import pipeline
    from narrower.cli.progress import search_progress
    from narrower.cli.show import print_record
    from narrower.store.trials import TrialStore

    problem = pipeline.pose(loaded.settings)
    target = run or new_run(loaded.settings.project or f"{loaded.settings.model}-{problem.data.name}")
    with target.locked():
        problem = pipeline.with_weights(
            problem,
            target,
            None if run else load,
            may_train=train,
            say=lambda text: messages().print(text, markup=False),
            show_progress=messages().is_terminal,
        )
        for warning in pipeline.unseen_widths(problem):
            messages().print(f"warning: {warning}", markup=False, style="yellow")
        store = TrialStore.open(target.trials) if run else pipeline.start_run(problem, target)
        with store:
            if run:
                pipeline.check_unchanged(problem, store)
            record = pipeline.search(problem, target, show_progress=search_progress, store=store)
    if as_json:
        print_json(record.to_dict() | {"run": str(target.path)})
    else:
        print_record(record, target)
    return 130 if record.summary.stopped == "interrupted" else 0


def new_run(project: str) -> RunDirectory:
    """The first of runs/PROJECT, runs/PROJECT-2, ... that holds no search yet.

    Raises:
        RunError: the name is no name for a directory.
    """
    if project in (".", "..") or "\0" in project or Path(project).is_absolute():
        raise RunError(f"project {project!r} is no name for a directory below {RUNS}")
    safe = project.replace(":", "-")
    number = 1
    while True:
        run = RunDirectory(RUNS / (safe if number == 1 else f"{safe}-{number}"))
        if not run.trials.exists():
            return run
        number += 1


def _say_ignored(loaded: LoadedSettings) -> None:
    if loaded.ignored:
        messages().print(
            f"warning: without meaning here and passed over: {', '.join(loaded.ignored)}",
            markup=False,
            style="yellow",
        )
