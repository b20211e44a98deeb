"""``narrower compare``: which search method is better?"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli.console import answer, messages, note, print_json, print_table, tell, warn
from narrower.cli.numbers import MOST
from narrower.cli.passed_over import say_ignored
from narrower.cli.settings_options import Override, Set
from narrower.cli.train import DataPath
from narrower.errors import SettingsError, require_extra
from narrower.searching.samplers.catalogue import canonical_sampler
from narrower.settings.from_options import with_options
from narrower.settings.layers import read_layers
from narrower.study.read import read_settings
from narrower.training.recipe import seeds_from

if TYPE_CHECKING:
    from narrower.store.run_directory import RunDirectory
    from narrower.study.comparison.record import Comparison
    from narrower.study.problem import Problem

PROXY_TRIALS, PROXIES_RECORD = 30, "proxies.json"

Config = Annotated[Path, typer.Option("--config", help="The search to compare samplers on (TOML).")]
Samplers = Annotated[
    str, typer.Option("--samplers", help="Names of 'narrower samplers', separated by commas.")
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, max=1000, help="Searches of each sampler.")]
Trials = Annotated[
    int | None, typer.Option("--trials", min=1, max=MOST, help="Distinct plans of each search.")
]
Load = Annotated[Path | None, typer.Option("--load", help="Weights of the model.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes; the results are the same.")]
Enumerate = Annotated[
    int | None,
    typer.Option("--enumerate", min=0, help="Largest space whose exact front is found by trying every plan."),
]
Output = Annotated[Path | None, typer.Option("--output", help="Directory to write to.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Proxies = Annotated[
    bool,
    typer.Option(
        "--proxies",
        help="Instead of samplers: how well zero-cost proxies rank --trials (30) random candidates.",
    ),
]
Png = Annotated[bool, typer.Option("--png", help="Draw the curves as PNG files as well, beside the page.")]


def compare(
    config: Config,
    samplers: Samplers = "guided,tpe,nsgaii,random",
    seeds: Seeds = 20,
    trials: Trials = None,
    load: Load = None,
    data_path: DataPath = None,
    jobs: Jobs = 2,
    enumerate_up_to: Enumerate = None,
    output: Output = None,
    png: Png = False,
    proxies: Proxies = False,
    set_values: Set = None,
    override: Override = None,
    as_json: Json = False,
) -> None:
    """Run each sampler with each seed on the same space and scores, and say which was better.

    A plan is scored once for all searches. Writes comparison.json and comparison.html.

    With --proxies random candidates of a search over widths are trained, and zero-cost proxies compared with
    what they reach: rank correlations with 95 % intervals. Writes proxies.json.
    """
    names = _sampler_names(samplers)
    if png:
        require_extra("matplotlib", "png", "--png")
    loaded = read_settings(read_layers(config, override or (), set_values or ()), data_path)
    if data_path is not None:
        loaded = replace(loaded, settings=with_options(loaded.settings, top={"data_path": data_path}))
    from narrower.cli.progress import calibration_progress, step_progress
    from narrower.store.run_directory import RunDirectory, claimed
    from narrower.study.compare import compare_samplers
    from narrower.study.comparison.record import PAGE, RECORD
    from narrower.study.study import pose_study, settled, with_weights

    loaded = settled(loaded)
    say_ignored(loaded)

    def is_taken(run: RunDirectory) -> bool:
        return any((run.path / name).exists() for name in (RECORD, PROXIES_RECORD))

    study = pose_study(loaded, load, say=note, calibrating=calibration_progress())
    warn(*study.problem.notes)
    name = f"{study.name}-comparison"
    with RunDirectory(output).locked() if output else claimed(name, is_taken) as target:
        if is_taken(target):
            raise SettingsError(f"--output: {target.path} holds a comparison already")
        problem = with_weights(
            study,
            target,
            say=tell,
            show_progress=messages().is_terminal,
            calibrating=calibration_progress(),
        )
        if proxies:
            _compare_proxies(problem, trials or PROXY_TRIALS, target, as_json=as_json)
            return
        with step_progress() as report:
            comparison = compare_samplers(
                problem,
                names,
                seeds_from(loaded.settings.seed, seeds),
                trials=trials,
                enumeration_limit=enumerate_up_to,
                jobs=jobs,
                report=report,
            )
        _write(comparison, target.path, png=png)
    if as_json:
        print_json(comparison.to_dict() | {"directory": str(target.path)})
        return
    _print(comparison)
    tell(f"everything: {target.path}/, curves in {PAGE}")


def _sampler_names(listed: str) -> list[str]:
    """The samplers between commas, each once."""
    names = list(dict.fromkeys(canonical_sampler(name.strip()) for name in listed.split(",") if name.strip()))
    if not names:
        raise SettingsError("--samplers: found no name; 'narrower samplers' lists what there is")
    return names


def _write(comparison: "Comparison", directory: Path, *, png: bool) -> None:
    from narrower.store.files import write_json
    from narrower.study.comparison.page import write_comparison_page
    from narrower.study.comparison.record import PAGE, RECORD

    write_json(directory / RECORD, comparison.to_dict())
    write_comparison_page(comparison, directory / PAGE)
    if png:
        from narrower.study.comparison.plots import write_comparison_plots

        write_comparison_plots(comparison, directory / "comparison-plots")


def _print(comparison: "Comparison") -> None:
    from narrower.study.comparison.page import estimate_text

    rows = [
        [
            summary.sampler,
            *(estimate_text(needed.trials, "{:,.0f}") for needed in summary.needed),
            estimate_text(summary.hypervolume, "{:.1%}"),
            estimate_text(summary.found, "{:.0%}"),
            estimate_text(summary.repeated, "{:,.0f}"),
            estimate_text(summary.sampler_seconds, "{:.2f}"),
        ]
        for summary in comparison.summaries
    ]
    shares = [f"trials to {needed.share:.0%}" for needed in comparison.summaries[0].needed]
    setup = comparison.setup
    print_table(
        ("sampler", *shares, "hypervolume", "front found", "repeated", "own seconds"),
        rows,
        title=f"{len(setup.samplers)} samplers, {len(setup.seeds)} seeds, {setup.trials:,} trials each: "
        "median (95 %)",
    )
    for sentence in (comparison.conclusion.headline, *comparison.conclusion.sentences):
        answer(sentence)


def _compare_proxies(problem: "Problem", count: int, target: "RunDirectory", *, as_json: bool) -> None:
    from narrower.cli.progress import step_progress
    from narrower.store.files import write_json
    from narrower.study.proxy_ranking import rank_proxies

    with step_progress() as report:
        ranking = rank_proxies(problem, count, report)
    write_json(target.path / PROXIES_RECORD, ranking.to_dict())
    if as_json:
        print_json(ranking.to_dict() | {"directory": str(target.path)})
        return
    print_table(
        ("proxy", "rank correlation", "95 %"),
        [
            (
                rank.proxy,
                rank.failure if rank.correlation is None else f"{rank.correlation:.3f}",
                "" if rank.interval is None else "{:.3f} to {:.3f}".format(*rank.interval),
            )
            for rank in ranking.ranks
        ],
        title=f"{len(ranking.candidates)} candidates: proxies untrained against {ranking.metric} trained",
    )
    tell(f"everything: {target.path}/")
