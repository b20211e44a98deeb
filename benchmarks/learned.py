"""What learned widths cost and reach on the embedded jets.

    python benchmarks/learned.py [--json] [--quick] [--seeds N]

One thread; seconds are of processor time. ``--quick`` trains a tenth of the epochs, with one seed.

- ``step_vs_float``: a training step of 16-64-32-32-5 at batch 1,024 over that of the same network in float32
  (PyTorch's own layers, cross entropy and fused Adam); ``stacked_speedup_8``: eight candidates one after the
  other over eight at once, ``stacked_speedup_8_small`` the same of 16-8-8-5; medians of several rounds
- ``accuracy_at_200`` and so on: test accuracy of the member with the best validation accuracy within so many
  ebops, mean of the seeds, of the best network; ``networks`` has them per network, with the spread over seeds
  (largest less smallest), ``seconds`` of training, scores, last bits and teacher, and ``scoring_share`` of
  training
- ``luts``: da4ml's cost of the cheapest member of 16-8-8-5 (first seed) above 0.64, 0.65 and 0.655 on the
  test part, where data saturate
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from narrower.data.datasets import DataSet, load_data_set
from narrower.data.parts import Part
from narrower.export.learned_logic import learned_luts
from narrower.preparation.learning.learn import Learned, learn_shapes
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.scoring import hits_of
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.training import Training

BUDGETS = (200, 500, 1000, 2000, 5000, 10000)
LARGE, SMALL = (16, 64, 32, 32, 5), (16, 8, 8, 5)
# Shapes are trained at once; rates of bits and cycles as they did best.
NETWORKS: dict[str, tuple[list[tuple[int, ...]], LearnSettings]] = {
    "16-64-32-32-5": ([LARGE], LearnSettings(epochs=3000, cycles=30, rate_of_bits=10)),
    "16-8-8-5": ([SMALL], LearnSettings(epochs=3000, cycles=30)),
    "searched shapes": (
        [SMALL, (16, 8, 16, 5), (16, 16, 8, 5), (16, 16, 16, 5)],
        LearnSettings(epochs=1500, cycles=20),
    ),
}
ROUNDS, STEPS = 7, 40


def float_step(part: Part) -> Callable[[], None]:
    """One step of the plain loop over a batch."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(LARGE):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(part.inputs), part.targets).backward()
        optimizer.step()

    return step


def learned_step(part: Part, sizes: Sequence[int], candidates: int) -> Callable[[], None]:
    """One step of learned widths: an epoch of a single batch."""
    targets = F.one_hot(part.targets, sizes[-1]).float()
    settings = LearnSettings(epochs=10**6, batch_size=len(part))
    training = Training([sizes] * candidates, part, targets, part, settings, range(candidates))

    def step() -> None:
        with torch.no_grad():
            training.train_epoch(0)

    return step


def seconds_of(step: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - start) / STEPS


def speeds(data: DataSet) -> dict[str, float]:
    """The rows about steps."""
    batch = data.train.first(1024)
    ways = {
        "float": float_step(batch),
        "one": learned_step(batch, LARGE, 1),
        "eight": learned_step(batch, LARGE, 8),
        "one small": learned_step(batch, SMALL, 1),
        "eight small": learned_step(batch, SMALL, 8),
    }
    rounds = [{name: seconds_of(step) for name, step in ways.items()} for _ in range(ROUNDS)]
    pairs = {
        "step_vs_float": ("one", "float", 1),
        "stacked_speedup_8": ("one", "eight", 8),
        "stacked_speedup_8_small": ("one small", "eight small", 8),
    }
    return {
        row: round(statistics.median(factor * r[top] / r[bottom] for r in rounds), 2)
        for row, (top, bottom, factor) in pairs.items()
    }


def test_accuracy(member: Member, data: DataSet) -> float:
    right = hits_of(member.network, data.test.inputs.numpy(), data.test.targets.numpy())
    return right / len(data.test)


def accuracies(learned: Learned, data: DataSet) -> dict[int, float]:
    """By budget; nothing where no member is that cheap."""
    found = {}
    for budget in BUDGETS:
        within = [m for m in learned.members if m.cost <= budget]
        if within:
            found[budget] = test_accuracy(max(within, key=lambda m: m.quality), data)
    return found


def network_rows(fronts: Sequence[Learned], data: DataSet) -> dict[str, Any]:
    """Means and spreads over seeds of one network."""
    tables = [accuracies(front, data) for front in fronts]
    rows: dict[str, Any] = {}
    for budget in BUDGETS:
        values = [table[budget] for table in tables if budget in table]
        if len(values) == len(tables):
            rows[f"accuracy_at_{budget}"] = round(statistics.mean(values), 4)
            rows[f"spread_at_{budget}"] = round(max(values) - min(values), 4)
    for part in ("train_seconds", "score_seconds", "cut_seconds", "teacher_seconds"):
        rows[part] = round(statistics.mean(getattr(front, part) for front in fronts), 1)
    rows["scoring_share"] = round(rows["score_seconds"] / max(rows["train_seconds"], 0.1), 3)
    return rows


def luts_at(front: Learned, data: DataSet) -> dict[str, Any]:
    """Logic of the cheapest member above each accuracy."""
    found = {}
    for wanted in (0.64, 0.65, 0.655):
        enough = (m for m in front.members if test_accuracy(m, data) >= wanted)
        member = next(enough, None)
        if member is not None:
            found[str(wanted)] = {"ebops": member.cost, "luts": learned_luts(member.network)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a tenth of the epochs, one seed")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data_set("jets")
    rows: dict[str, Any] = speeds(data)
    networks = {}
    for name, (shapes, chosen) in NETWORKS.items():
        settings = replace(chosen, epochs=chosen.epochs // 10, cycles=10) if arguments.quick else chosen
        seeds = range(1 if arguments.quick else arguments.seeds)
        fronts = [
            learn_shapes(shapes, data.train, data.validation, replace(settings, seed=seed)) for seed in seeds
        ]
        networks[name] = network_rows(fronts, data)
        if shapes == [SMALL]:
            rows["luts"] = luts_at(fronts[0], data)
    for budget in BUDGETS:
        key = f"accuracy_at_{budget}"
        reached = [network[key] for network in networks.values() if key in network]
        if reached:
            rows[key] = max(reached)
    rows["scoring_share"] = max(network["scoring_share"] for network in networks.values())
    rows["networks"] = networks
    if arguments.json:
        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
