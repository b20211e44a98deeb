"""``narrower export-study``: the trials of a run as an Optuna study."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import Run
from narrower.cli.console import note, tell
from narrower.report.whole_run import read_whole_run
from narrower.store.run_directory import RunDirectory

File = Annotated[Path, typer.Argument(help="The SQLite file to write; it must not exist yet.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the study.", show_default="name of the run's directory")
]


def export_study(run: Run, file: File, name: Name = None) -> None:
    """Write the trials of RUN as an Optuna study into the SQLite file FILE, for optuna-dashboard.

    Each choice is a parameter, each objective a value; other metrics are user attributes.
    """
    directory = RunDirectory(run)
    record = read_whole_run(directory, note)
    from narrower.searching.objective import Constraint, Objective, Objectives
    from narrower.searching.optuna_study import write_study
    from narrower.store.trials import TrialStore

    study = name or directory.path.resolve().name
    with TrialStore.open(directory.trials, read_only=True) as store:
        count = write_study(
            store,
            file,
            study,
            Objectives(tuple(Objective(**o) for o in record.objectives), record.sum_direction),
            [Constraint(**constraint) for constraint in record.constraints or ()],
        )
    tell(f"{file}: study {study!r} with {count:,} trials; look at it: optuna-dashboard sqlite:///{file}")
