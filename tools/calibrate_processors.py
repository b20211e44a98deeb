"""Measure what C takes on each processor, and write the tables that costs are computed from.

Sizes of functions are those of the compiler at -Os. What a place takes that calls one is fitted to the code
of networks at random. Cycles are instructions in QEMU, one each: fitted to runs of such networks.
"""

import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from narrower.export.device.costs import FEATURES, TABLE, group_of, site_features
from narrower.export.device.emulated import emulate
from narrower.export.device.network import APART, CNetwork, c_network, kept_apart
from narrower.export.device.processors import PROCESSORS, Processor
from narrower.export.device.runtime_typed import LIBRARY
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan


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
            layers += [nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], 10)), torch.randn(4, sizes[0])
    size, held = int(chance.integers(6, 17)), int(chance.integers(1, 4))
    shape = (held, size, size)
    for _ in range(int(chance.integers(1, 4))):
        made = int(chance.integers(4, 17))
        layers += [
            nn.Conv2d(held, made, int(chance.choice([1, 3])), stride=int(chance.integers(1, 3)), padding=1)
        ]
        layers += [nn.BatchNorm2d(made)] if chance.random() < 0.6 else []
        layers += [nn.ReLU()]
        if seed % 3 == 1:
            layers += [nn.Conv2d(made, made, 3, padding=1, groups=made), nn.ReLU()]
        elif chance.random() < 0.6:
            layers += [Residual(made)]
        layers += [nn.MaxPool2d(2, 2, padding=1)] if chance.random() < 0.3 else []
        held = made
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(held, 10)), torch.randn(4, *shape)


def made(seed: int) -> tuple[CNetwork, Tensor]:
    """A network as C, with a plan at random."""
    chance = np.random.default_rng(seed + 1000)
    model, inputs = network(seed)
    model.train()(inputs)
    program = lower(trace(model.eval(), inputs[:2], "net"))
    layers = {}
    for node in program.graph.nodes:
        if "layer" in node.meta:
            rounding = str(chance.choice(["half_even", "half_up"]))
            data = FixedPoint(8, 4, bool(chance.integers(2)), rounding)
            layers[node.meta["layer"]] = LayerPlan(
                data, FixedPoint(int(chance.integers(2, 9)), 4), FixedPoint(8, 4)
            )
    return c_network(program, Plan.of(layers), "net", "size" if seed % 2 else "speed"), inputs[:1]


def function_bytes(processor: Processor) -> dict[str, int]:
    """The size of each function of the library, compiled alone with what it needs."""
    text = "#include <stdint.h>\n#include <string.h>\n" + APART
    text += "".join(
        kept_apart(name).replace("static ", "", 1) if "static " in LIBRARY[name].text else LIBRARY[name].text
        for name in LIBRARY
    )
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "all.c").write_text(text)
        subprocess.run([*processor.compiler, "-std=c99", "-Os", "-c", "all.c"], cwd=directory, check=True)
        said = subprocess.run(
            ["nm", "-S", "all.o"], cwd=directory, check=True, capture_output=True, text=True
        )
    return {
        line.split()[3]: int(line.split()[1], 16)
        for line in said.stdout.splitlines()
        if len(line.split()) == 4
    }


def calibrate(processor: Processor, count: int) -> dict[str, object]:
    """The table of one processor, from so many networks."""
    held = function_bytes(processor)
    sites, codes, work, instructions = [], [], [], []
    names: list[str] = []
    networks = [made(seed) for seed in range(count)]
    for network_, _ in networks:
        names += [f"{group_of(f)}:{kind}" for f in network_.work for kind in ("calls", "elements")]
    names = list(dict.fromkeys(names))
    for network_, inputs in networks:
        with tempfile.TemporaryDirectory() as directory:
            ran = emulate(network_, processor, inputs.numpy(), Path(directory))
        sites.append(site_features(network_))
        codes.append(ran.code_bytes - sum(held.get(f, 0) for f in network_.functions))
        row = np.zeros(len(names))
        for function, done in network_.work.items():
            row[names.index(f"{group_of(function)}:calls")] += done.calls
            row[names.index(f"{group_of(function)}:elements")] += done.elements
        work.append(row)
        instructions.append(int(ran.instructions[0]))
    fitted = nnls(np.array(sites, float), np.array(codes, float))[0]
    weight = 1 / np.array(instructions, float)
    cycles = nnls(np.array(work) * weight[:, None], np.ones(len(work)))[0]
    code_error = np.abs(np.array(sites) @ fitted - codes) / (np.array(codes) + 1000)
    cycle_error = np.abs(np.array(work) @ cycles * weight - 1)
    print(processor.name, "code", code_error.max(), "cycles", np.median(cycle_error), cycle_error.max())
    return {
        "functions": held,
        "sites": dict(zip(FEATURES, [round(float(x), 2) for x in fitted], strict=True)),
        "cycles": dict(zip(names, [round(float(x), 3) for x in cycles], strict=True)),
    }


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    tables = {name: calibrate(processor, number) for name, processor in PROCESSORS.items()}
    TABLE.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
