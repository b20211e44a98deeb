"""``narrower show`` and ``narrower runs``: what was found."""

import os
from typing import Annotated

import typer

from narrower.cli.complete import Run
from narrower.cli.console import note, print_json, print_lines, print_table, tell, warn
from narrower.cli.print_record import print_record
from narrower.errors import RunError, SettingsError
from narrower.report.flat_table import csv_lines, front_rows, trials_rows
from narrower.report.markdown import front_markdown
from narrower.report.read_record import read_record
from narrower.report.whole_run import read_whole_run
from narrower.store.run_directory import RUNS, RunDirectory, list_runs
from narrower.store.run_files import compare_files
from narrower.store.trials import TrialStore

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV: a column for each metric and layer.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]
All = Annotated[bool, typer.Option("--all", help="With --csv: all trials, not only the front.")]


def show(
    run: Run,
    as_json: Json = False,
    as_csv: Csv = False,
    as_markdown: Markdown = False,
    all_trials: All = False,
) -> None:
    """Print the front of a run."""
    if as_json + as_csv + as_markdown > 1:
        raise SettingsError("give one of --json, --csv and --markdown")
    if all_trials and not as_csv:
        raise SettingsError("--all goes with --csv: it prints every trial of the run")
    directory = RunDirectory(run)
    if all_trials:
        directory.require()
        with TrialStore.open(directory.trials, read_only=True) as store:
            for line in compare_files(directory, store.facts()):
                note(line)
        print_lines(csv_lines(trials_rows(directory)))
        return
    record = read_whole_run(directory, note)
    if as_json:
        print_json(record.to_dict())
    elif as_csv:
        print_lines(csv_lines(front_rows(record)))
    elif as_markdown:
        print_lines(front_markdown(record))
    else:
        print_record(record, directory)


def runs(as_json: Json = False) -> None:
    """List the searches below runs/."""
    rows = [(str(run.path), *_listed_run(run)) for run in list_runs()]
    columns = ("run", "model", "data set", "sampler", "trials")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        tell(f"no runs below {RUNS}/")


def _listed_run(run: RunDirectory) -> tuple[str | None, ...]:
    if not os.path.lexists(run.front):
        return None, None, None, "not ended: narrower search --resume"
    try:
        record = read_record(run)
    except RunError as error:
        warn(str(error))
        return None, None, None, "its record cannot be read"
    return record.model, record.data_set, record.sampler, record.summary.completeness
