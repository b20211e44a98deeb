"""``narrower check``: is this settings file right, and what would it do?"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from narrower.cli.console import answer, note, print_json, print_table, warn
from narrower.cli.own_modules import say_imports
from narrower.cli.passed_over import say_ignored
from narrower.cli.settings_options import Override, Set
from narrower.cli.train import DataPath
from narrower.settings.from_options import with_options
from narrower.settings.layers import read_layers
from narrower.study.read import read_settings

Config = Annotated[Path, typer.Argument(metavar="FILE", help="Settings of a search (TOML).")]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(
    config: Config,
    load: Load = None,
    data_path: DataPath = None,
    set_values: Set = None,
    override: Override = None,
    as_json: Json = False,
) -> None:
    """Validate FILE and say what the search would do; nothing is trained or written.

    A module of your own that FILE names is imported. Data that are not here are a warning; the rest is
    checked all the same.
    """
    loaded = read_settings(read_layers(config, override or (), set_values or ()), data_path, absent=warn)
    if data_path is not None:
        loaded = replace(loaded, settings=with_options(loaded.settings, top={"data_path": data_path}))
    settings, strategy = loaded.settings, loaded.settings.search.strategy
    say_imports(settings.dataset, (settings.model, settings.task, *strategy.metrics, *strategy.constraints))
    from narrower.study.preview import learned_preview, preview
    from narrower.study.study import pose_study, settled

    loaded = settled(loaded)
    study = pose_study(loaded, load, say=note, absent=warn)
    say_ignored(loaded)  # what is wrong comes alone
    problem = study.problem
    warn(*problem.ending_warnings, *problem.notes)
    heading = f"{config}: {problem.model_name} on {problem.data.name}, {problem.samples:,} samples"
    if (learned := learned_preview(problem)) is not None:
        if as_json:
            print_json({"learned": learned.settings})
            return
        answer(heading)
        answer(f"plans: {learned.words}; at most {learned.most_members:,} members are kept")
        return
    found = preview(problem)
    if as_json:
        print_json(found.to_dict())
        return
    answer(heading)
    answer(
        f"space: {found.space_size:,} plans; {found.trials:,} trials with {problem.options.sampler}",
    )
    if found.cut is not None:
        cut = ", ".join(f"{count:,} by {reason}" for reason, count in found.cut.items()) or "none"
        answer(f"cut by constraints on cost: {cut} ({found.counted})")
    seconds = "unknown" if found.seconds is None else f"about {found.seconds:,.1f} s"
    answer(f"estimated time: {seconds} ({found.estimated_from})")
    rows: list[list[Any]] = [[name, low, high] for name, (low, high) in found.ranges.items()]
    print_table(("cost", "smallest", "largest"), rows)
