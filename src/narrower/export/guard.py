"""Measure whether integer kernels make a network slower than float32 on this machine."""

from narrower.data.arguments import Arguments
from narrower.export.plan_latency import LatencyMeter
from narrower.graph.program import Program
from narrower.plan.plan import Plan

LIMIT_SECONDS = 1.0


def slowdown(program: Program, plan: Plan, inputs: Arguments, batch_size: int | None) -> float | None:
    """How many times as long as float32 a plan takes in ONNX Runtime; None where it is not surely slower.

    Both are called in turn for a second, with one sample where the batch size stays open.
    """
    meter = LatencyMeter(program, inputs, batch_size=batch_size or 1, limit_seconds=LIMIT_SECONDS)
    found = meter.measure(plan)
    return found.ratio if found.is_slower else None
