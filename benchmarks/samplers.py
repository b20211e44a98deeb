"""How many plans each sampler needs for 95 % of the exact hypervolume: medians over seeds.

    python benchmarks/samplers.py [--json] [--seeds N] [--space NAME ...] [--samplers a,b,c]

Each space is enumerated first, so that its exact front is known and every plan is scored once for all
searches. Reference point: chance accuracy, and the dearest admitted plan.

- ``jsc``: configs/jsc-toy.toml, 5,832 plans of jsc-toy on jets (accuracy, average bit width)
- ``resnet20``: the weight widths of resnet20's last five layers on digits32, 243 plans (accuracy, model size)
- ``relu``: data and weight widths of jsc-three-linear-relu with automatic fractions, 1,728 plans (accuracy,
  bit operations); not looked at while the guided sampler was written
- ``widths``: the widths of jsc-s's four hidden layers on jets, 256 networks, each trained from scratch for 1
  epoch (accuracy, flops); not looked at while the guided sampler was written
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from narrower.settings.from_options import settings_from_options
from narrower.settings.load import load_settings
from narrower.settings.schema import RunSettings
from narrower.study.compare import compare_samplers
from narrower.study.comparison.record import Estimate
from narrower.study.pose import pose
from narrower.study.problem import Problem, given_weights
from narrower.training.one_model import train
from narrower.training.recipe import Recipe

TRIALS = 300
SAMPLERS = "guided,tpe,nsgaii,nsgaiii,qmc,random"


def trained(settings: RunSettings, training: Recipe) -> Problem:
    """The problem with weights that were trained for it here."""
    problem = pose(settings)
    with tempfile.TemporaryDirectory() as directory:
        result = train(problem.model, problem.data, training, Path(directory), show_progress=False)
        return given_weights(problem, result.best_checkpoint)


def jsc() -> Problem:
    settings = load_settings(Path(__file__).parent.parent / "configs" / "jsc-toy.toml").settings
    return trained(settings, Recipe(max_epochs=10, batch_size=256, learning_rate=1e-2, seed=0))


def from_widths(
    model: str, data_set: str, layers: str, data: list[str], weight: list[str], cost: str
) -> RunSettings:
    return settings_from_options(
        layers=layers,
        widths={"data_in": data, "weight": weight, "bias": ["8"]},
        fractions="auto",
        objectives=["accuracy", cost],
        bounds=[],
        setup={"sampler": "brute_force"},
        samples=None,
        top={"model": model, "dataset": data_set},
    )


def resnet20() -> Problem:
    last = r"layer3\.1\.conv[12]|layer3\.2\.conv[12]|fc"
    settings = from_widths("resnet20", "digits32", last, ["8"], ["2", "3", "4"], "model_size")
    return trained(settings, Recipe(max_epochs=6, batch_size=64, learning_rate=3e-3, seed=0))


def relu() -> Problem:
    widths = ["3", "4", "6"], ["2", "3", "4", "6"]
    settings = from_widths("jsc-three-linear-relu", "jets", ".*", *widths, "bitops")
    return trained(settings, Recipe(max_epochs=10, batch_size=256, learning_rate=1e-2, seed=1))


def widths() -> Problem:
    config = {"channel_multiplier": [0.25, 0.5, 1, 2]}
    return pose(
        RunSettings.model_validate(
            {
                "model": "jsc-s",
                "dataset": "jets",
                "max_epochs": 1,
                "search": {
                    "search_space": {
                        "name": "resize",
                        "setup": {"by": "type"},
                        "seed": {"linear": {"config": config}},
                    },
                    "strategy": {
                        "eval_mode": False,
                        "setup": {"sampler": "brute_force"},
                        "metrics": {"accuracy": {}, "flops": {}},
                    },
                },
            }
        )
    )


SPACES: dict[str, Callable[[], Problem]] = {
    "jsc": jsc,
    "resnet20": resnet20,
    "relu": relu,
    "widths": widths,
}


def row(estimate: Estimate) -> list[float | None]:
    """Median, and the bounds of its 95 % bootstrap interval; null where it is not reached."""
    return [estimate.median, estimate.low, estimate.high]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--space", action="append", choices=SPACES)
    parser.add_argument("--samplers", default=SAMPLERS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, object]] = {}
    for name in arguments.space or SPACES:
        problem = SPACES[name]()
        started = time.perf_counter()
        comparison = compare_samplers(
            problem,
            arguments.samplers.split(","),
            range(arguments.seeds),
            trials=TRIALS,
            jobs=2,
            enumeration_limit=10_000,
            report=lambda *_: None,
        )
        seconds = time.perf_counter() - started
        print(f"{name}: {comparison.conclusion.headline}; {seconds:.1f} s", file=sys.stderr)
        rows: dict[str, object] = {
            summary.sampler: {
                **{
                    f"plans_to_{needed.share:.0%}".rstrip("%"): row(needed.trials)
                    for needed in summary.needed
                },
                "sampler_seconds": row(summary.sampler_seconds),
            }
            for summary in comparison.summaries
        }
        found[name] = {"plans": comparison.setup.space_size, "seconds": round(seconds, 1), "samplers": rows}
        for sampler, values in rows.items():
            print(f"  {sampler}: {values}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
