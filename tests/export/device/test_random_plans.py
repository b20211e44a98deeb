"""Plans and networks at random: formats, widths, shapes; C agrees with the evaluation of each."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.errors import ExportError
from narrower.export.device.network import c_network
from narrower.export.device.packing import PACKS
from narrower.export.exactness import inexact_operators
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.power_of_two import PowerOfTwo
from narrower.plan.formats.sign_only import Binary, Ternary
from narrower.plan.plan import LayerPlan, Plan
from tests.export.device.agree import differing, lowered, needs_gcc, random_inputs
from tests.export.device.random_networks import random_network

pytestmark = needs_gcc
Chance = np.random.Generator
BLOCKS = 1000


def fixed(chance: Chance, widest: int) -> FixedPoint:
    width = int(chance.integers(2, widest + 1))
    rounding = str(chance.choice(["half_even", "half_up", "floor"]))
    overflow = str(chance.choice(["saturate", "saturate", "saturate_symmetric", "wrap"]))
    frac = int(chance.integers(-1, width + 2))
    return FixedPoint(width, frac, bool(chance.integers(2)), rounding, overflow)


def data(chance: Chance) -> NumberFormat:
    others: list[NumberFormat] = [
        PowerOfTwo(int(chance.integers(2, 5)), int(chance.integers(0, 4)), bool(chance.integers(2))),
        Binary(scale=float(2.0 ** chance.integers(-2, 1))),
        Ternary(scale=float(2.0 ** chance.integers(-1, 2)), threshold=0.2),
        Affine(int(chance.integers(2, 9)), scale=float(2.0 ** -chance.integers(1, 6))),
        Affine(8, symmetric=False, scale=0.0625, zero=int(chance.integers(0, 200))),
        Affine(8, symmetric=False, scale=0.03125 * 1.37, zero=100),
    ]
    return others[chance.integers(len(others))] if chance.random() < 0.3 else fixed(chance, 10)


def weight(chance: Chance) -> NumberFormat:
    others: list[NumberFormat] = [
        PowerOfTwo(int(chance.integers(2, 5)), int(chance.integers(2, 6))),
        Binary(per=str(chance.choice(["tensor", "channel"]))),
        Ternary(per=str(chance.choice(["tensor", "channel"]))),
        Binary(scale=0.25),
        Ternary(scale=0.5),
        Affine(int(chance.integers(2, 9)), per=str(chance.choice(["tensor", "channel"]))),
        Affine(4, symmetric=False, per="channel", scales="power_of_two"),
    ]
    return others[chance.integers(len(others))] if chance.random() < 0.4 else fixed(chance, 8)


def activation(chance: Chance) -> list[nn.Module]:
    choices: list[Callable[[], nn.Module]] = [
        nn.ReLU, nn.ReLU6, nn.Identity, nn.Tanh, nn.Sigmoid, lambda: nn.LeakyReLU(0.1), nn.Hardtanh,
    ]  # fmt: skip
    return [choices[chance.integers(len(choices))]()]


def convolutional(chance: Chance) -> tuple[nn.Module, tuple[int, ...]]:
    channels, size = int(chance.integers(1, 4)), int(chance.integers(5, 9))
    layers: list[nn.Module] = []
    held = channels
    for _ in range(int(chance.integers(1, 4))):
        groups = held if chance.random() < 0.3 else 1
        made = held * int(chance.integers(1, 3)) if groups > 1 else int(chance.integers(2, 7))
        kernel = int(chance.choice([1, 2, 3]))
        layers.append(
            nn.Conv2d(held, made, kernel, stride=int(chance.integers(1, 3)), padding=1, groups=groups)
        )
        layers += [nn.BatchNorm2d(made)] if chance.random() < 0.5 else []
        layers += activation(chance)
        layers += [nn.MaxPool2d(2, 1)] if chance.random() < 0.3 else []
        held = made
    if any(isinstance(layer, nn.Tanh | nn.Sigmoid) for layer in layers[-2:]):
        layers.append(nn.Conv2d(held, held, 1))  # C has no table for a mean of what is not rounded
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(held, 4)), (channels, size, size)


def dense(chance: Chance) -> tuple[nn.Module, tuple[int, ...]]:
    sizes = chance.integers(3, 90, int(chance.integers(2, 5))).tolist()
    layers: list[nn.Module] = [nn.BatchNorm1d(sizes[0])] if chance.random() < 0.3 else []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bool(chance.integers(2)))]
        layers += [nn.BatchNorm1d(after)] if chance.random() < 0.4 else []
        layers += activation(chance)
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 4)), (sizes[0],)


def case(seed: int) -> tuple[nn.Module, Tensor, Chance]:
    """A chain of layers, or, from seed 1,000 on, blocks of any kind."""
    if seed >= BLOCKS:
        return random_network(seed - BLOCKS)
    chance = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, shape = (convolutional if seed % 2 else dense)(chance)
        inputs = random_inputs(60, *shape, seed=seed) * 1.5
        model.train()(inputs)
    return model.eval(), inputs, chance


def agrees(seed: int, directory: Path) -> None:
    model, inputs, chance = case(seed)
    program = lowered(model, inputs)
    layers = {}
    for node in program.graph.nodes:
        if "layer" in node.meta:
            bias = FLOAT32 if chance.random() < 0.2 else fixed(chance, 10)
            layers[node.meta["layer"]] = LayerPlan(data(chance), weight(chance), bias)
    plan = Plan.of(layers)
    inexact = [reason for reason in inexact_operators(program, plan) if "rounded differently" not in reason]
    try:
        c_network(program, plan, "net")
    except ExportError as refusal:
        # Some functions never end, and words that wrap have them all; these are refused by name.
        assert "too many values for a table" in str(refusal)  # noqa: PT017 - the kind of refusal is the claim
        return
    count, made = differing(program, plan, inputs, directory, PACKS[seed // 2 % 2])
    # Sums whose scale is no power of two are rounded once in C, and after each addition in the evaluation.
    assert count == 0 or (inexact and count <= made.outputs * len(inputs)), f"{count} differ: {plan}"
    assert count == 0 or inexact


@pytest.mark.parametrize("seed", [*range(6), *range(BLOCKS, BLOCKS + 6)])
def test_some_plans_agree(seed: int, tmp_path: Path) -> None:
    agrees(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(6, 200), *range(BLOCKS + 6, BLOCKS + 200)])
def test_many_plans_agree(seed: int, tmp_path: Path) -> None:
    agrees(seed, tmp_path)
