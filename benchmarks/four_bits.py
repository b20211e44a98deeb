"""What resnet20 reaches with all weights and data at 4 bits, trained in its formats, beside float32.

    python benchmarks/four_bits.py [--json] [--data digits32] [--seeds 3] [--float-epochs 12] [--epochs 20]

For each seed, resnet20 is trained in float32, fractions are chosen for its weights and data, and it is
trained on with these formats (biases at 8 bits), and scored as it is deployed. Rows: ``SEED_float``,
``SEED_rounded`` (4 bits without training) and ``SEED_trained``: test accuracy.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.data.parts import DataSet
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.models.build import build_model
from narrower.plan.plan import Plan, plan_from_dict
from narrower.training.many import train_in_formats
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe

WIDTHS = {"data": [4], "weight": [4], "bias": [8]}
FRACTIONS = {f"{operand}_frac": ["auto"] for operand in WIDTHS}


def accuracies(data: DataSet, seed: int, float_epochs: int, epochs: int) -> dict[str, float]:
    """Test accuracy in float32, with 4 bits without training, and after training in them."""
    begun = build_model("resnet20", seed=seed, sizes=data.sizes)
    model = train_weights(begun, data.train, Recipe(float_epochs, 64, seed=seed))
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    choices: dict[str, Sequence[Any]] = {**WIDTHS, **FRACTIONS}
    space = dict.fromkeys(layers, choices)
    found = narrower.search(model, data, space, ["accuracy"], sampler="brute_force", n_trials=1)
    plan = plan_from_dict(found.record.members[0].plan)
    trained = train_in_formats(model, plan, data.train, Recipe(epochs, 64, 2e-3, seed=seed))
    return {
        "float": _accuracy(model, data, Plan()),
        "rounded": _accuracy(model, data, plan),
        "trained": _accuracy(trained, data, plan),
    }


def _accuracy(model: nn.Module, data: DataSet, plan: Plan) -> float:
    program = lower(trace_or_call(model, data.examples, "resnet20"))
    return Evaluator(program, data.test).evaluate([plan.formats])[0].metrics["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to number")
    parser.add_argument("--data", default="digits32")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--float-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data_set(arguments.data)
    rows: dict[str, float] = {}
    for seed in range(arguments.seeds):
        found = accuracies(data, seed, arguments.float_epochs, arguments.epochs)
        rows |= {f"{seed}_{name}": round(value, 4) for name, value in found.items()}
        print(f"seed {seed}: {found}", file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
