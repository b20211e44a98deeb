"""How long the plans of a finished run take in ONNX Runtime on this machine."""

from collections.abc import Callable, Sequence

from narrower.export.plan_latency import LatencyMeter, PlanLatency
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.store.run_directory import RunDirectory
from narrower.study.run_subjects import run_subjects


def front_latency(
    run: RunDirectory,
    numbers: Sequence[int] | None,
    *,
    batch_size: int,
    threads: int,
    limit_seconds: float,
    say: Callable[[str], None],
) -> list[tuple[int | None, PlanLatency]]:
    """The latency of these trials (None: the whole front), each with its number, beside float32 in turn.

    Raises:
        NarrowerError: the run has no such trial, or its plans cannot be exported.
    """
    subjects = run_subjects(run, numbers, say=say)
    first = subjects[0]
    program = lower(trace(first.model, first.data.examples, first.model_name))
    meter = LatencyMeter(
        program,
        first.data.test.arguments,
        batch_size=batch_size,
        threads=threads,
        limit_seconds=limit_seconds,
    )
    return [(subject.trial, meter.measure(subject.plan)) for subject in subjects]
