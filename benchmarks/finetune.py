"""What training in number formats costs, and what it gives.

    python benchmarks/finetune.py [--json] [--row NAME ...]

- ``step_vs_float_jsc``: a step of jsc-toy at batch 1,024 in number formats, by a float32 step of that loop
- ``step_vs_float_resnet20``: the same of resnet20 at batch 64, digits of 32x32 pixels, all layers at 4 bits
- ``batched_speedup_32``: 32 plans of jsc-toy one after the other, by all at once; batch 256, steps alone
- ``front_gain``: accuracy of jsc-toy at 2,000 ebops when a quarter of 128 random plans, by their loss without
  training, is trained in two rounds of up to 8 epochs, less that of the same plans without training; mean of
  three seeds
- ``rounds_saved``: share of the training steps that four rounds of all 128 plans, of up to 8 epochs, save
  against ``candidates`` of 8 epochs, at equal hypervolume of accuracy and the logarithm of ebops: these train
  as many of the plans as that takes, in a random order (the mean of 20); where all are not enough, all count.
  Mean of three seeds
- ``rounds_saved_any_length``: the same against candidates of the best of seven lengths from 17 steps to 8
  epochs, which nobody knows beforehand; only where it is asked for with ``--row``

Processor time with one thread, taken in turns, medians; accuracies on the validation part.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.models.build import build_model
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan
from narrower.report.finetuned import FinetunedRecord
from narrower.report.hypervolume_curve import hypervolume_curve
from narrower.report.record import RunRecord
from narrower.searching.front import hypervolume
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore
from narrower.study import study
from narrower.study.finetune import Finetuner
from narrower.study.problem import Problem
from narrower.tasks.task import Ending
from narrower.training.core import Core
from narrower.training.finetuning import Finetuning
from narrower.training.losses import Losses
from narrower.training.many import train_all, train_in_formats
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe
from narrower.training.rounding import formats_of

LAYERS = ("seq_blocks.2", "seq_blocks.5", "seq_blocks.8")
FOUR_BITS = Plan.of(
    {name: LayerPlan(FixedPoint(8, 4), FixedPoint(4, 2), FixedPoint(8, 4)) for name in LAYERS}
)
CANDIDATES, STEPS = 32, 40
TRIALS, EPOCHS, ROUNDS, BUDGET, SEEDS = 128, 8, 2, 2000, 3
REFERENCE = np.array([0.8, np.log(20_000)])  # errors by chance, ebops
ROUNDS_OF_ALL, LENGTHS, ORDERS = 4, (17, 35, 69, 138, 276, 552, 1104), 20
WIDTHS = {"data": [2, 3, 4, 6], "weight": [2, 3, 4, 6], "bias": [6]}
FRACTIONS = {f"{operand}_frac": ["auto"] for operand in WIDTHS}


def step_vs_float_jsc() -> float:
    return _step_vs_float("jsc-toy", "jets", FOUR_BITS, Recipe(max_epochs=1, batch_size=1024))


def step_vs_float_resnet20() -> float:
    sizes = load_data_set("digits32").sizes
    layers = [
        name
        for name, module in build_model("resnet20", sizes=sizes).named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    plan = Plan.of({name: LayerPlan(FixedPoint(4, 2), FixedPoint(4, 3)) for name in layers})
    return _step_vs_float("resnet20", "digits32", plan, Recipe(max_epochs=1, batch_size=64, max_steps=4))


def _step_vs_float(model: str, data_set: str, plan: Plan, recipe: Recipe) -> float:
    data = load_data_set(data_set)
    pairs = [(_epoch(model, data, recipe, plan), _epoch(model, data, recipe, None)) for _ in range(8)][1:]
    return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


def _epoch(name: str, data: DataSet, recipe: Recipe, plan: Plan | None) -> float:
    model = build_model(name, seed=0, sizes=data.sizes)
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


def _searched(seed: int, directory: Path) -> tuple[Problem, list[int]]:
    """128 random plans of jsc-toy with random weights of a seed, trained in float32 first; nothing else."""
    data = load_data_set("jets")
    model = train_weights(build_model("jsc-toy", seed=seed), data.train, Recipe(seed=seed))
    posed: list[Problem] = []
    own = study.search

    def remembering(problem: Problem, *arguments: Any, **named: Any) -> RunRecord:
        posed.append(problem)
        return own(problem, *arguments, **named)

    study.search = remembering
    try:
        found = narrower.search(
            model,
            data,
            {name: {**WIDTHS, **FRACTIONS} for name in LAYERS},
            ["accuracy", "ebops"],
            sampler="random",
            n_trials=TRIALS,
            seed=seed,
            directory=directory,
        )
    finally:
        study.search = own
    return posed[0], [member.number for member in found.record.members]


def _finetuned(
    problem: Problem,
    directory: Path,
    front: list[int],
    rounds: int,
    order: str | None = None,
    most_steps: int = 0,
) -> FinetunedRecord:
    recipe = Recipe(EPOCHS, learning_rate=5e-3, seed=problem.options.seed, max_steps=most_steps)
    how = Finetuning(recipe, rounds, order=order)
    with TrialStore.open(directory / "trials.db", read_only=True) as store:
        tuner = Finetuner(problem, RunDirectory(directory), store, how, lambda *_: None)
        return tuner.finetune(range(TRIALS), front)


def _points(record: FinetunedRecord, *, after: bool) -> list[tuple[float, float]]:
    metrics = [(member.after or member.before) if after else member.before for member in record.members]
    return [(each["accuracy"], each["ebops"]) for each in metrics]


def front_gain() -> float:
    gains = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as name:
            problem, front = _searched(seed, Path(name, "run"))
            record = _finetuned(problem, Path(name, "run"), front, ROUNDS, "untrained")
        best = [
            max(accuracy for accuracy, ebops in _points(record, after=after) if ebops <= BUDGET)
            for after in (False, True)
        ]
        print(f"  seed {seed}: {best[0]:.4f} before, {best[1]:.4f} after", file=sys.stderr)
        gains.append(best[1] - best[0])
    return statistics.mean(gains)


def rounds_saved() -> float:
    return statistics.mean(saved(seed, LENGTHS[-1:]) for seed in range(SEEDS))


def rounds_saved_any_length() -> float:
    return statistics.mean(saved(seed, LENGTHS) for seed in range(SEEDS))


def saved(seed: int, lengths: Sequence[int]) -> float:
    """The share of the steps that candidates need for the hypervolume of rounds which rounds do not need."""
    with tempfile.TemporaryDirectory() as name:
        problem, front = _searched(seed, Path(name, "run"))
        rounds = _finetuned(problem, Path(name, "run"), front, ROUNDS_OF_ALL)
        wanted, needed = hypervolume(_losses(rounds), REFERENCE), [TRIALS * LENGTHS[-1]]
        for length in lengths:
            every = _finetuned(problem, Path(name, "run"), front, 1, most_steps=length)
            volumes = _volumes(_losses(every), seed)
            needed += [(int(np.argmax(volumes >= wanted)) + 1) * length] if volumes[-1] >= wanted else []
            print(f"  candidates of {length} steps: hypervolume {volumes[-1]:.4f}", file=sys.stderr)
    print(
        f"  seed {seed}: rounds, {rounds.steps:,} steps: {wanted:.4f}; candidates need {min(needed):,}",
        file=sys.stderr,
    )
    return 1 - rounds.steps / min(needed)


def _volumes(losses: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The hypervolume after each plan in a random order, on average over orders."""
    chance, found = np.random.default_rng(seed), []
    for _ in range(ORDERS):
        some = losses[chance.permutation(len(losses))]
        curve = hypervolume_curve(some, np.ones(len(some), bool), np.zeros(len(some)), REFERENCE)
        after = np.searchsorted(curve.trials, np.arange(1, len(some) + 1), side="right")
        found.append(np.append(0.0, curve.values)[after])
    return np.asarray(np.mean(found, axis=0))


def _losses(record: FinetunedRecord) -> NDArray[np.float64]:
    """Errors and the logarithm of ebops."""
    return np.array([(1 - a, np.log(max(1.0, e))) for a, e in _points(record, after=True)])


ROWS: dict[str, Callable[[], float]] = {
    "step_vs_float_jsc": step_vs_float_jsc,
    "step_vs_float_resnet20": step_vs_float_resnet20,
    "batched_speedup_32": batched_speedup_32,
    "front_gain": front_gain,
    "rounds_saved": rounds_saved,
    "rounds_saved_any_length": rounds_saved_any_length,
}
ASKED_FOR = ("rounds_saved_any_length",)  # takes several times as long as all others


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to number")
    parser.add_argument("--row", action="append", choices=ROWS, help="only this row; may be given repeatedly")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in arguments.row or [each for each in ROWS if each not in ASKED_FOR]:
        found[name] = round(ROWS[name](), 4)
        print(f"{name}: {found[name]:.4g}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
