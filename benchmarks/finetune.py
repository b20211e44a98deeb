"""What training in number formats costs, and what it gives.

    python benchmarks/finetune.py [--json] [--row NAME ...]

- ``step_vs_float_jsc``: a step of jsc-toy at batch 1,024 in number formats, by a float32 step of that loop
- ``batched_speedup_32``: 32 plans of jsc-toy one after the other, by all at once; batch 256, steps alone

Processor time with one thread, taken in turns, medians.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable

import torch

from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.formats.fixed import FixedPoint
from narrower.models.build import build_model
from narrower.plan import LayerPlan, Plan
from narrower.tasks.task import Ending
from narrower.training.core import Core
from narrower.training.losses import Losses
from narrower.training.many import train_all, train_in_formats
from narrower.training.recipe import Recipe
from narrower.training.rounding import formats_of

LAYERS = ("seq_blocks.2", "seq_blocks.5", "seq_blocks.8")
FOUR_BITS = Plan.of(
    {name: LayerPlan(FixedPoint(8, 4), FixedPoint(4, 2), FixedPoint(8, 4)) for name in LAYERS}
)
CANDIDATES, STEPS = 32, 40


def step_vs_float_jsc() -> float:
    data = load_data_set("jets")
    recipe = Recipe(max_epochs=1, batch_size=1024)
    pairs = [(_epoch(data, recipe, FOUR_BITS), _epoch(data, recipe, None)) for _ in range(8)][1:]
    return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


def _epoch(data: DataSet, recipe: Recipe, plan: Plan | None) -> float:
    model = build_model("jsc-toy", seed=0)
    losses = Losses(recipe, data.task.loss(Ending()))
    formats = None if plan is None else formats_of(model, plan)
    core = Core(model, data.train, recipe, losses, formats=formats)
    start = time.process_time()
    core.epoch()
    return time.process_time() - start


def batched_speedup_32() -> float:
    data = load_data_set("jets")
    recipe = Recipe(max_epochs=1, max_steps=STEPS)
    model = build_model("jsc-toy", seed=0)
    chance = random.Random(0)
    plans = [_drawn(chance) for _ in range(CANDIDATES)]
    ratios = []
    for _ in range(4):
        start = time.process_time()
        train_all([model] * CANDIDATES, plans, data.train, recipe)
        together = time.process_time() - start
        start = time.process_time()
        for plan in plans:
            train_in_formats(model, plan, data.train, recipe)
        ratios.append((time.process_time() - start) / together)
    return statistics.median(ratios[1:])


def _drawn(chance: random.Random) -> Plan:
    return Plan.of(
        {
            name: LayerPlan(
                FixedPoint(chance.choice((4, 6, 8)), chance.choice((2, 3, 4))),
                FixedPoint(chance.choice((2, 3, 4, 8)), chance.choice((1, 2))),
                FixedPoint(8, 4),
            )
            for name in LAYERS
        }
    )


ROWS: dict[str, Callable[[], float]] = {
    "step_vs_float_jsc": step_vs_float_jsc,
    "batched_speedup_32": batched_speedup_32,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to number")
    parser.add_argument("--row", action="append", choices=ROWS, help="only this row; may be given repeatedly")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in arguments.row or ROWS:
        found[name] = round(ROWS[name](), 4)
        print(f"{name}: {found[name]:.4g}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
