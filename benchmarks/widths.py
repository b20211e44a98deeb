"""How much faster many candidates are trained at once, and what accuracy a search over widths reaches.

    python benchmarks/widths.py [--json] [--rounds N]

64 networks of the family of jsc-three-linear-relu on jets (8 x 8 widths). Both ways run with one thread, take
turns in one process, and train with the same Adam, fused, over the same batches in the same order:

- ``batched_training_speedup``: one network after the other (16 of the 64, drawn at random, times 4), over all
  64 at once; median of the rounds, one epoch each
- ``largest_first_loss_difference``, ``largest_accuracy_difference``, ``median_accuracy_difference``: between
  the two ways, over 32 candidates and one epoch
- ``front_accuracy_min``: the least accurate member of the front of 64 candidates, each trained with 3 seeds
  for four epochs, the best kept; ``front_spread`` is the median deviation over its seeds
"""

import argparse
import copy
import itertools
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

import narrower
from narrower.data.datasets import DataSet, load_data_set
from narrower.data.parts import Part
from narrower.graph.find_channels import find_channels
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.quality import model_quality
from narrower.preparation.settings import CandidateSettings
from narrower.training.batches import Batches
from narrower.training.recipe import Recipe
from narrower.training.together import train_together
from narrower.transform.resized import wanted_counts, with_counts

MULTIPLIERS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)
SAMPLED = 16
ONE_EPOCH = Recipe(max_epochs=1, batch_size=256, learning_rate=1e-2, seed=0)


def accuracy(model: nn.Module, part: Part) -> float:
    """That of a model as it stands."""
    return model_quality(model, part).metrics["accuracy"]


def candidates(data: DataSet) -> list[nn.Module]:
    """Every combination of the multipliers of the two hidden layers, the widest last."""
    model, example = build_model("jsc-three-linear-relu", seed=0), (data.train.inputs[:3],)
    channels = find_channels(model, trace(model, example))
    found = []
    for first, second in itertools.product(MULTIPLIERS, repeat=2):
        counts = wanted_counts(channels, {"seq_blocks.2": first, "seq_blocks.4": second}, {})
        found.append(with_counts(model, example, channels, counts, weights="scratch", seed=len(found)))
    return found


def train_alone(model: nn.Module, data: DataSet, settings: Recipe) -> tuple[nn.Module, float]:
    """The plain loop: a trained copy, and its loss on the first batch."""
    alone = copy.deepcopy(model).train()
    optimizer = torch.optim.Adam(alone.parameters(), lr=settings.learning_rate, fused=True)
    batches = Batches(data.train, settings.batch_size, settings.seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.max_epochs * len(batches))
    first = None
    for _ in range(settings.max_epochs):
        for inputs, targets in batches:
            loss = F.cross_entropy(alone(inputs), targets)
            first = loss.item() if first is None else first
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    assert first is not None
    return alone.eval(), first


def seconds_together(models: Sequence[nn.Module], data: DataSet) -> float:
    start = time.perf_counter()
    train_together(models, data.train, ONE_EPOCH)
    return time.perf_counter() - start


def seconds_alone(models: Sequence[nn.Module], data: DataSet) -> float:
    start = time.perf_counter()
    for model in models:
        train_alone(model, data, ONE_EPOCH)
    return time.perf_counter() - start


def speedup(models: Sequence[nn.Module], data: DataSet, rounds: int) -> float:
    chance = random.Random(0)
    ratios = []
    for _ in range(rounds):
        sampled = chance.sample(models, SAMPLED)
        alone = seconds_alone(sampled, data) * len(models) / SAMPLED
        ratios.append(alone / seconds_together(models, data))
    return statistics.median(ratios)


def differences(models: Sequence[nn.Module], data: DataSet) -> dict[str, float]:
    some = models[1::2]
    together = train_together(some, data.train, ONE_EPOCH)
    losses, accuracies = [], []
    for model, trained, first in zip(some, together.models, together.first_losses, strict=True):
        alone, first_alone = train_alone(model, data, ONE_EPOCH)
        losses.append(abs(first - first_alone))
        accuracies.append(abs(accuracy(alone, data.validation) - accuracy(trained, data.validation)))
    return {
        "largest_first_loss_difference": max(losses),
        "largest_accuracy_difference": max(accuracies),
        "median_accuracy_difference": statistics.median(accuracies),
    }


def front(data: DataSet) -> dict[str, float]:
    start = time.perf_counter()
    found = narrower.search(
        "jsc-three-linear-relu",
        data,
        {"seq_blocks.2": {"width": MULTIPLIERS}, "seq_blocks.4": {"width": MULTIPLIERS}},
        ["accuracy", "flops"],
        sampler="brute_force",
        candidates=CandidateSettings(training=replace(ONE_EPOCH, max_epochs=4), seeds=3, keep="best"),
    )
    return {
        "front_accuracy_min": min(row["accuracy"] for row in found.front),
        "front_accuracy_max": max(row["accuracy"] for row in found.front),
        "front_members": len(found.front),
        "front_spread": statistics.median(row["accuracy_spread"] for row in found.front),
        "front_seconds": time.perf_counter() - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data_set("jets")
    models = candidates(data)
    rows = {
        "batched_training_speedup": speedup(models, data, arguments.rounds),
        **differences(models, data),
        **front(data),
    }
    if arguments.json:
        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name:32} {value:.4g}")


if __name__ == "__main__":
    main()
