"""A comparison of two samplers that is small enough to check by hand."""

from dataclasses import replace
from typing import Any

from narrower.study.comparison.conclusion import conclude
from narrower.study.comparison.record import Comparison, Conclusion, SamplerRun, Setup, Steps
from narrower.study.comparison.summary import pair_tests, summaries

TRIALS = 10
CHECKPOINTS = (1, 5, 10)
PLAN_SECONDS = 0.5


def run(
    sampler: str, seed: int, at: tuple[int, ...], shares: tuple[float, ...], trials: int = TRIALS
) -> SamplerRun:
    """A run whose front changed at trials ``at``, to these shares of the best volume."""
    return SamplerRun(
        sampler=sampler,
        seed=seed,
        trials=trials,
        steps=Steps(
            at,
            tuple(0.5 * t + 0.1 for t in at),
            shares,
            tuple(share / 2 for share in shares),
            tuple(1 - share for share in shares),
            {"accuracy": tuple(0.5 + share / 4 for share in shares)},
        ),
        repeated=(0, 2, 3),
        sampler_seconds=(0.01, 0.03, 0.08),
        drawn=1,
        not_admitted=0,
        failed=2,
    )


def made_up_comparison() -> Comparison:
    """Eight seeds; the first sampler is better with each of them, by different amounts."""
    setup = Setup(
        model="m",
        data_set="d",
        part="validation",
        samples=100,
        space_size=50,
        space_hash="",
        objectives=({"metric": "accuracy", "direction": "maximize"},),
        sum_direction=None,
        constraints=(),
        samplers=("quick", "slow"),
        seeds=tuple(range(8)),
        trials=TRIALS,
        basis="exact",
        basis_plans=50,
        enumeration_limit=100,
        front_size=4,
        reference={"accuracy": 0.2},
        best={"accuracy": 0.75},
        scored=50,
        plan_seconds=PLAN_SECONDS,
        jobs=1,
        seconds=1.0,
        environment={},
    )
    runs = [run("quick", seed, (1, 3), (0.6, 0.96 + seed / 1000)) for seed in range(8)]
    runs += [run("slow", seed, (2, 8), (0.3, 0.5 + seed / 50)) for seed in range(8)]
    bare: Any = {"summaries": (), "tests": (), "conclusion": Conclusion("", ())}
    found = Comparison(setup, CHECKPOINTS, tuple(runs), **bare)
    found = replace(found, summaries=summaries(found), tests=pair_tests(found))
    return replace(found, conclusion=conclude(found))
