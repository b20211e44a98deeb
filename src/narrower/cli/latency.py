"""``narrower latency``: time the plans of a front on this machine, beside float32."""

from dataclasses import asdict
from typing import Annotated

import typer

from narrower.cli.complete import Run
from narrower.cli.console import note, print_json, print_table, tell, warn
from narrower.cli.numbers import MOST, number_within
from narrower.cli.print_record import without_kernel
from narrower.store.run_directory import RunDirectory

Trials = Annotated[
    list[int] | None, typer.Option("--trial", min=0, max=MOST, help="These trials instead of the front.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=MOST, help="Samples in one call.")]
Threads = Annotated[int, typer.Option("--threads", min=1, max=1024, help="Threads of ONNX Runtime.")]
Limit = Annotated[
    float,
    typer.Option(
        "--limit",
        parser=number_within(0.1, 1e6),
        metavar="FLOAT",
        help="Seconds for each distinct graph at most.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def latency(
    run: Run,
    trial: Trials = None,
    batch_size: BatchSize = 1,
    threads: Threads = 1,
    limit: Limit = 20.0,
    as_json: Json = False,
) -> None:
    """Time the front of RUN in ONNX Runtime on this machine, beside float32 in turn.

    A ratio below 1 is faster than float32. Measuring ends when the 95 % interval of the ratio is within 5 %.
    """
    from narrower.study.front_latency import front_latency

    measured = front_latency(
        RunDirectory(run), trial, batch_size=batch_size, threads=threads, limit_seconds=limit, say=note
    )
    if as_json:
        print_json([{"trial": number, **asdict(found)} for number, found in measured])
        return
    columns = ("trial", "latency, us", "float32, us", "ratio", "ratio, 95 %", "pairs", "integer kernels")
    rows = [
        (
            number,
            found.median_us,
            found.float32_us,
            found.ratio,
            f"{found.ratio_low:.3f} to {found.ratio_high:.3f}",
            found.pairs,
            f"{len(found.kernels) - len(found.without_kernel)} of {len(found.kernels)} layers",
        )
        for number, found in measured
    ]
    threads_said = "1 thread" if threads == 1 else f"{threads} threads"
    print_table(columns, rows, title=f"ONNX Runtime at batch size {batch_size}, {threads_said}")
    if without := without_kernel([asdict(kernel) for _, found in measured for kernel in found.kernels]):
        tell(f"no integer kernel, computed in float32: {without}")
    if slower := [number for number, found in measured if found.is_slower]:
        tell(f"surely slower than float32 here: {', '.join(map(str, slower))}")
    if unsettled := [number for number, found in measured if not found.settled]:
        warn(f"the time limit came first, the interval is wider than 5 %: {unsettled}")
