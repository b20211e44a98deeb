"""``narrower pick``: one plan of a front, and why."""

from collections.abc import Sequence
from math import isfinite, nan
from typing import Annotated, Any

import typer

from narrower.cli.complete import Run
from narrower.cli.console import note, print_json, print_lines, tell
from narrower.cli.numbers import number_within
from narrower.errors import SettingsError
from narrower.report.pick import Pick, pick_drop, pick_knee, pick_trial, pick_within
from narrower.report.record import RunRecord
from narrower.report.whole_run import read_whole_run
from narrower.store.run_directory import RunDirectory
from narrower.store.run_files import file_hash
from narrower.tasks.catalogue import TASKS
from narrower.tasks.task import leading

# By the metric that leads, too.
DROPS = tuple(dict.fromkeys(("--drop", *(f"--{leading(task).name}-drop" for task in TASKS.values()))))

Most = Annotated[
    list[str] | None, typer.Option("--max", help="A limit such as bitops=5000; several may hold.")
]
Drop = Annotated[
    float | None,
    typer.Option(
        *DROPS,
        parser=number_within(-1, 1),
        metavar="FLOAT",
        help="What may be lost of float32's quality: 0.01 is one point of a share, or one percent.",
    ),
]
Knee = Annotated[bool, typer.Option("--knee", help="Where the front bends most.")]
Trial = Annotated[
    int | None, typer.Option("--trial", min=0, help="The one of this number, as 'narrower show' has.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pick(
    run: Run,
    most: Most = None,
    drop: Drop = None,
    knee: Knee = False,
    trial: Trial = None,
    as_json: Json = False,
) -> None:
    """Pick one plan of a run's front and print it as TOML for 'narrower transform'."""
    if sum((bool(most), drop is not None, knee, trial is not None)) != 1:
        raise SettingsError("give one of --max METRIC=LIMIT, --drop DROP, --knee and --trial NUMBER")
    directory = RunDirectory(run)
    record = read_whole_run(directory, note)
    if most:
        chosen = pick_within(record, _limits(most))
    elif drop is not None:
        chosen = pick_drop(record, drop)
    elif trial is not None:
        chosen = pick_trial(record, trial)
    else:
        chosen = pick_knee(record)
    if as_json:
        print_json({"why": chosen.why, **plan_tables(record, directory, chosen)})
        return
    import tomli_w

    tell(f"trial {chosen.member.number}: {chosen.why}")
    comment = f"# trial {chosen.member.number} of {run}: {chosen.why}".replace("\n", "\\n")
    print_lines([comment, tomli_w.dumps(plan_tables(record, directory, chosen)).rstrip("\n")])


def plan_tables(record: RunRecord, run: RunDirectory, chosen: Pick) -> dict[str, Any]:
    """What ``narrower transform --config`` needs: model, weights and plan."""
    weights = run.path / chosen.member.weights if chosen.member.weights else run.weights
    known = {"weights_sha256": file_hash(weights)} if weights.is_file() else {}
    return {"model": record.model, "load": str(weights), **known, "plan": chosen.member.plan}


def _limits(texts: Sequence[str]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            metric, limit = name.strip(), float(value)
        except ValueError:
            limit = nan
        if not isfinite(limit) or not metric:
            raise SettingsError(f"--max: found {text!r}; allowed: METRIC=LIMIT such as bitops=5000")
        if metric in limits:
            raise SettingsError(
                f"--max: {metric} has two limits ({limits[metric]:g} and {limit:g}); give one"
            )
        limits[metric] = limit
    return limits
