"""Cycles are computed for every function that a network may call, and are near the instructions in QEMU."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from narrower.export.device.costs import TABLE, device_costs, group_of
from narrower.export.device.emulated import emulate, is_here
from narrower.export.device.network import c_network
from narrower.export.device.processors import PROCESSORS
from narrower.export.device.runtime_typed import LIBRARY
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan
from tests.export.device.agree import for_all, lowered, random_inputs

ON_ROWS = re.compile(r"^static void (\w+)\(.*\*", re.MULTILINE)
SOFT = nn.Sequential(nn.Linear(6, 40), nn.Softmax(1))
COARSE = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 4))
WRAPPING = LayerPlan(FixedPoint(4, 6, overflow="wrap"), FixedPoint(4, 3), FixedPoint(6, 4))


@pytest.mark.parametrize("processor", list(PROCESSORS))
def test_the_table_holds_every_function_of_rows(processor: str) -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))[processor]["cycles"]
    names = [name for snippet in LIBRARY.values() for name in ON_ROWS.findall(snippet.text)]
    assert {"real_softmax", "scale_up", "wrap", "shift_even", "real_of_wide"} <= set(names)
    missing = {group_of(name) for name in names if f"{group_of(name)}:elements" not in table}
    assert not missing
    free = {
        group_of(n) for n in names if table[f"{group_of(n)}:elements"] == table[f"{group_of(n)}:calls"] == 0
    }
    assert not free


@pytest.mark.parametrize("processor", list(PROCESSORS))
@pytest.mark.parametrize(("model", "layer"), [(SOFT, None), (COARSE, WRAPPING), (COARSE, None)])
def test_computed_cycles_are_near_those_of_the_emulator(
    model: nn.Module, layer: LayerPlan | None, processor: str, tmp_path: Path
) -> None:
    if not is_here(PROCESSORS[processor]):
        pytest.skip(f"needs {' and '.join(PROCESSORS[processor].tools)}")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in model.modules():
            if isinstance(part, nn.Linear):
                part.reset_parameters()
    inputs = random_inputs(4, 6)
    program = lowered(model, inputs)
    network = c_network(program, for_all(program, layer) if layer else for_all(program), "net", "speed")
    ran = emulate(network, PROCESSORS[processor], inputs.numpy(), tmp_path)
    computed = device_costs(network, processor).cycles
    assert computed == pytest.approx(float(np.mean(ran.instructions)), rel=0.25)
