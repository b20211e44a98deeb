"""Measure what C takes on each processor, and write the tables that costs are computed from.

Sizes of the library's functions are those of the compiler at -Os. What a network's own functions take is
fitted to the symbols of networks at random, function by function. Cycles are instructions in QEMU, one each:
fitted to runs of such networks, near what functions that go through rows take alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from measure_row_functions import measured
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor, nn

from narrower.export.device.code_features import code_features, own_functions
from narrower.export.device.costs import TABLE, group_of, library_bytes
from narrower.export.device.emulated import emulate
from narrower.export.device.linkage import ATTRIBUTES, linked
from narrower.export.device.network import CNetwork, c_network
from narrower.export.device.processors import PROCESSORS, Processor
from narrower.export.device.runtime_typed import LIBRARY
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.power_of_two import PowerOfTwo
from narrower.plan.formats.sign_only import Binary, Ternary
from narrower.plan.plan import LayerPlan, Plan

PULL = 0.1  # twice what a function takes alone counts as much as a network that is off by 10 %


class Residual(nn.Module):
    """A block around an addition."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.second(torch.relu(self.first(x)))))


def network(seed: int) -> tuple[nn.Module, Tensor]:
    """A network of one of three kinds, with inputs."""
    chance = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    if seed % 3 == 0:
        sizes = [int(size) for size in chance.integers(8, 120, int(chance.integers(2, 6)))]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after)]
            layers += [nn.BatchNorm1d(after)] if chance.random() < 0.5 else []
            layers += activation(chance, lambda: nn.Linear(after, after))  # noqa: B023
        return nn.Sequential(*layers, *head(chance, sizes[-1])), torch.randn(4, sizes[0])
    size, held = int(chance.integers(6, 17)), int(chance.integers(1, 4))
    shape = (held, size, size)
    for _ in range(int(chance.integers(1, 4))):
        made = int(chance.integers(4, 17))
        layers += [
            nn.Conv2d(held, made, int(chance.choice([1, 3])), stride=int(chance.integers(1, 3)), padding=1)
        ]
        layers += [nn.BatchNorm2d(made)] if chance.random() < 0.6 else []
        layers += activation(chance, lambda: nn.Conv2d(made, made, 1))  # noqa: B023 - called at once
        if seed % 3 == 1:
            layers += [nn.Conv2d(made, made, 3, padding=1, groups=made), nn.ReLU()]
        elif chance.random() < 0.6:
            layers += [Residual(made)]
        pool = (nn.MaxPool2d, nn.AvgPool2d)[chance.integers(2)]
        layers += [pool(2, 2, padding=1)] if chance.random() < 0.3 else []
        held = made
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head(chance, held)), torch.randn(4, *shape)


def activation(chance: np.random.Generator, reader: Callable[[], nn.Module]) -> list[nn.Module]:
    """A function of one number; behind a table, the layer that says how it is rounded."""
    if chance.random() < 0.2:
        return [(nn.Tanh, nn.Sigmoid, nn.SiLU)[chance.integers(3)](), reader()]
    simple: list[Callable[[], nn.Module]] = [nn.ReLU, nn.ReLU, nn.ReLU6, lambda: nn.LeakyReLU(0.2)]
    return [simple[chance.integers(len(simple))]()]


def head(chance: np.random.Generator, inputs: int) -> list[nn.Module]:
    """The last layer, with a softmax or without."""
    return [nn.Linear(inputs, 10), *([nn.Softmax(1)] if chance.random() < 0.2 else [])]


def data_format(chance: np.random.Generator) -> NumberFormat:
    """Mostly fixed point."""
    if chance.random() < 0.2:
        return (Affine(8, scale=0.05), Ternary(scale=1.0, threshold=0.2))[chance.integers(2)]
    rounding = str(chance.choice(["half_even", "half_up", "floor"]))
    overflow = "wrap" if chance.random() < 0.1 else "saturate"
    frac = int(chance.integers(3, 6))
    return FixedPoint(int(chance.choice([4, 8, 8, 12])), frac, bool(chance.integers(2)), rounding, overflow)


def weight_format(chance: np.random.Generator) -> NumberFormat:
    """Mostly fixed point of 2 to 8 bits, at times more."""
    others: list[NumberFormat] = [Affine(6, per="channel"), Binary(), PowerOfTwo(3, 3), FixedPoint(14, 12)]
    is_other = chance.random() < 0.3
    return others[chance.integers(len(others))] if is_other else FixedPoint(int(chance.integers(2, 9)), 4)


def made(seed: int) -> tuple[CNetwork, Tensor]:
    """A network as C, with a plan at random."""
    chance = np.random.default_rng(seed + 1000)
    model, inputs = network(seed)
    model.train()(inputs)
    program = lower(trace(model.eval(), inputs[:2], "net"))
    layers = {}
    for node in program.graph.nodes:
        if "layer" in node.meta:
            layers[node.meta["layer"]] = LayerPlan(
                data_format(chance), weight_format(chance), FixedPoint(8, 4)
            )
    return c_network(program, Plan.of(layers), "net", "size" if seed % 2 else "speed"), inputs[:1]


def function_bytes(processor: Processor) -> dict[str, int]:
    """The size of each function of the library, compiled alone with what it needs."""
    text = "#include <stdint.h>\n#include <string.h>\n" + ATTRIBUTES
    text += "".join(linked(snippet.text).replace("static APART", "APART") for snippet in LIBRARY.values())
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "all.c").write_text(text)
        subprocess.run([*processor.compiler, "-std=c99", "-Os", "-c", "all.c"], cwd=directory, check=True)
        return symbol_sizes(Path(directory) / "all.o")


def symbol_sizes(path: Path) -> dict[str, int]:
    """The bytes of each symbol of an object file."""
    said = subprocess.run(["nm", "-S", str(path)], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in said.splitlines()]
    return {words[3]: int(words[1], 16) for words in lines if len(words) == 4}


def calibrate(processor: Processor, count: int) -> dict[str, object]:
    """The table of one processor, from so many networks."""
    held = function_bytes(processor)
    features: list[Mapping[str, int]] = []
    sizes, work, instructions, totals = [], [], [], []
    names: list[str] = []
    networks = [made(seed) for seed in range(count)]
    for network_, _ in networks:
        names += [f"{group_of(f)}:{kind}" for f in network_.work for kind in ("calls", "elements")]
    names = list(dict.fromkeys(names))
    for network_, inputs in networks:
        with tempfile.TemporaryDirectory() as directory:
            ran = emulate(network_, processor, inputs.numpy(), Path(directory))
            linked_ = symbol_sizes(Path(directory) / "network.elf")  # a linker may shorten calls
        held |= {name: size for name, size in linked_.items() if name in held}
        own = own_functions(network_.source)
        features += own.values()
        sizes += [linked_[name] for name in own]
        totals.append((network_, ran.code_bytes))
        row = np.zeros(len(names))
        for function, done in network_.work.items():
            row[names.index(f"{group_of(function)}:calls")] += done.calls
            row[names.index(f"{group_of(function)}:elements")] += done.elements
        work.append(row)
        instructions.append(int(ran.instructions[0]))
    kinds = list(features[0])
    table = np.array([[each[kind] for kind in kinds] for each in features], float)
    own_code = dict(
        zip(kinds, [round(float(x), 2) for x in nnls(table, np.array(sizes, float))[0]], strict=True)
    )
    cycles = cycles_of(names, np.array(work), np.array(instructions, float), measured(processor))
    computed = [
        library_bytes(network_, held)
        + sum(n * own_code[k] for k, n in code_features(network_.source).items())
        for network_, _ in totals
    ]
    code_error = np.abs(np.array(computed) / [code for _, code in totals] - 1)
    cycle_error = np.abs(np.array(work) @ [cycles[name] for name in names] / instructions - 1)
    print(processor.name, "code", code_error.max(), "cycles", np.median(cycle_error), cycle_error.max())
    return {
        "functions": held,
        "own code": own_code,
        "cycles": cycles,
    }


def cycles_of(
    names: list[str], work: NDArray[np.float64], instructions: NDArray[np.float64], rows: Mapping[str, float]
) -> dict[str, float]:
    """What fits whole networks best, and lies near what functions of rows take alone.

    What they take depends on the numbers: a product with zero ends early. Where networks hold too little of a
    function to say, what it takes alone stays.
    """
    shares = work / instructions[:, None]
    alone = np.array([rows.get(name, 0.0) for name in names])
    free = np.array([name not in rows for name in names])
    alone[free] = nnls(shares[:, free], 1 - shares[:, ~free] @ alone[~free])[0]
    usual = np.maximum(alone, 1.0)
    pull = np.diag(PULL / usual)
    found = nnls(np.vstack([shares, pull]), np.concatenate([np.ones(len(work)), PULL * alone / usual]))[0]
    return dict(rows) | {name: round(float(x), 3) for name, x in zip(names, found, strict=True)}


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    tables = {name: calibrate(processor, number) for name, processor in PROCESSORS.items()}
    TABLE.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
