"""``narrower merge``: several runs of one problem become one."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import like_run
from narrower.cli.console import print_json, warn
from narrower.cli.project import Project
from narrower.errors import RunError
from narrower.settings.dump import settings_text
from narrower.settings.from_options import whole
from narrower.settings.load import located
from narrower.store.run_directory import RunDirectory, claimed
from narrower.store.run_log import RunLog
from narrower.study.read import read_settings

Runs = Annotated[
    list[Path], typer.Argument(help="Directories of runs of one problem.", autocompletion=like_run)
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def merge(runs: Runs, project: Project = None, as_json: Json = False) -> int:
    """Join runs of one problem, such as those of 'narrower search --part 1/8' to 8/8, and print the front.

    Plans that several runs tried count once. The runs stay as they are.
    """
    from narrower.cli.print_record import print_record
    from narrower.cli.progress import search_progress
    from narrower.study.merge import add_trials, read_trials
    from narrower.study.pose import pose
    from narrower.study.problem import given_weights
    from narrower.study.run_facts import begin_run
    from narrower.study.study import search

    directories = [RunDirectory(run) for run in dict.fromkeys(runs)]
    if len(directories) < len(runs):
        raise RunError("a run is named twice")
    for run in directories:
        run.require(run.settings, run.weights)
        if not run.front.is_file():
            warn(f"{run.path}: its search did not end; what it has tried is taken")
    first = directories[0]
    loaded = read_settings(first.settings)
    settings = whole(loaded.settings)
    with located(loaded.layers):
        problem = given_weights(pose(settings), first.weights)
    trials = read_trials(problem, directories)
    name = project or f"{settings.project or settings.model}-merged"
    with claimed(name, lambda run: run.trials.exists()) as target, RunLog(target.log) as log:
        log.write(f"merged from: {', '.join(str(run.path) for run in directories)}")
        with begin_run(problem, target, settings_text(settings)) as store:
            problem, sampler = add_trials(problem, store, trials, directories)
            record = search(problem, target, store, show_progress=search_progress, say=warn, sampler=sampler)
        log.write(f"ended: {record.summary.completeness}, {len(record.members)} plans on the front")
    if as_json:
        print_json(record.to_dict() | {"run": str(target.path)})
    else:
        print_record(record, target)
    return 0
