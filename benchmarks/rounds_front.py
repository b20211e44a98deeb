"""The front of plans that are trained in rounds, beside the front of the same plans without training.

    python benchmarks/rounds_front.py [--network jsc-toy] [--plans 512] [--rounds 4] [--epochs 60]
        [--widths 2,3,4,6,8] [--sparsity 0,0.5] [--seed 0] [--json]

Random plans of one width for each tensor: bits of data and of weights, the most of them for biases, and
shares of weights that are zero. They are searched with the weights that 10 epochs in float32 gave, and
trained in rounds. Rows for each budget: the best accuracy on the validation part at so many effective bit
operations, before and after, and what the second reaches on the test part; ``for_0.65``: the fewest of them
with 0.65.
Before training, as many plans without zeros count as well, so that the space is no excuse.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.models.build import build_model
from narrower.report.finetuned import FinetunedMember
from narrower.study.result import SearchResult
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe

BUDGETS = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
WANTED = (0.62, 0.65, 0.665)
FRACTIONS = {f"{operand}_frac": ["auto"] for operand in ("data", "weight", "bias")}


def network(name: str, seed: int) -> nn.Module:
    """A model by its name, or by its widths: 16-64-32-32-5, with batch norm and ReLU between layers."""
    if "-" not in name or not name.replace("-", "").isdigit():
        return build_model(name, seed=seed)
    widths = [int(width) for width in name.split("-")]
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.BatchNorm1d(widths[0])]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


Point = tuple[float, float]  # accuracy and effective bit operations


def searched(
    model: nn.Module,
    plans: int,
    widths: Sequence[int],
    sparsity: Sequence[float],
    seed: int,
    directory: Path,
) -> SearchResult:
    """Random plans with the weights of a model."""
    layers = [layer for layer, module in model.named_modules() if isinstance(module, nn.Linear)]
    of_bits: dict[str, Sequence[Any]] = {"data": widths, "weight": widths, "bias": [max(widths)]}
    choices = {**of_bits, **FRACTIONS, "weight_sparsity": sparsity}
    space = dict.fromkeys(layers, choices)
    return narrower.search(
        model,
        "jets",
        space,
        ["accuracy", "ebops"],
        sampler="random",
        n_trials=plans,
        seed=seed,
        directory=directory,
    )


def trained(
    name: str,
    plans: int,
    recipe: Recipe,
    rounds: int,
    widths: Sequence[int],
    sparsity: Sequence[float],
) -> tuple[list[Point], tuple[FinetunedMember, ...]]:
    """Random plans of a network without training, with zeros or not; and those with, trained in rounds."""
    model = train_weights(network(name, recipe.seed), load_data_set("jets").train, Recipe(seed=recipe.seed))
    with tempfile.TemporaryDirectory() as directory:
        dense = searched(model, plans, widths, [0], recipe.seed, Path(directory, "dense"))
        found = searched(model, plans, widths, sparsity, recipe.seed, Path(directory, "run"))
        record = narrower.finetune(found, recipe, every=True, rounds=rounds)
    print(f"{name}: {record.steps:,} steps, rounds {record.rounds}", file=sys.stderr, flush=True)
    before = [(own["accuracy"], own["ebops"]) for own in (m.metrics for m in dense.record.members)]
    before += [(member.before["accuracy"], member.before["ebops"]) for member in record.members]
    return before, record.members


def rows(before: Sequence[Point], members: Sequence[FinetunedMember]) -> dict[str, float | None]:
    """What is printed."""
    found: dict[str, float | None] = {}
    after = [
        (own["accuracy"], own["ebops"], member.test_value)
        for member in members
        for own in [member.after or member.before]
    ]
    for budget in BUDGETS:
        found[f"{budget}_before"] = max((a for a, cost in before if cost <= budget), default=None)
        best = max(((a, test) for a, cost, test in after if cost <= budget), default=(None, None))
        found[f"{budget}_after"], found[f"{budget}_test"] = best
    for wanted in WANTED:
        found[f"for_{wanted}_before"] = min((cost for a, cost in before if a >= wanted), default=None)
        found[f"for_{wanted}_after"] = min((cost for a, cost, _ in after if a >= wanted), default=None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to number")
    parser.add_argument("--network", default="jsc-toy")
    parser.add_argument("--plans", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--widths", default="2,3,4,6,8")
    parser.add_argument("--sparsity", default="0,0.5")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sparsity = [float(share) for share in given.sparsity.split(",")]
    recipe = Recipe(given.epochs, learning_rate=5e-3, seed=given.seed)
    widths = [int(width) for width in given.widths.split(",")]
    found = rows(*trained(given.network, given.plans, recipe, given.rounds, widths, sparsity))
    print(json.dumps(found, indent=2) if given.json else "\n".join(f"{k}: {v}" for k, v in found.items()))


if __name__ == "__main__":
    main()
