"""C on emulated microcontrollers gives the same outputs, and takes the memory that the header says."""

import re
import subprocess
from pathlib import Path

import pytest

from narrower.evaluate.definition import Definition
from narrower.export.device.costs import device_costs
from narrower.export.device.emulated import emulate, is_here
from narrower.export.device.network import c_network
from narrower.export.device.packing import PACKS, Pack
from narrower.export.device.processors import PROCESSORS
from tests import zoo
from tests.export.device.agree import for_all, lowered

SAMPLES = 3


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("processor", list(PROCESSORS))
@pytest.mark.parametrize("name", ["convolution1d", "residual", "concatenated"])
def test_outputs_are_equal_and_memory_is_as_stated(
    name: str, processor: str, pack: Pack, tmp_path: Path
) -> None:
    if not is_here(PROCESSORS[processor]):
        pytest.skip(f"needs {' and '.join(PROCESSORS[processor].tools)}")
    model, inputs = zoo.build(name)
    program = lowered(model, inputs)
    plan, some = for_all(program), inputs[:SAMPLES]
    network = c_network(program, plan, "net", pack)
    ran = emulate(network, PROCESSORS[processor], some.numpy(), tmp_path)
    own = Definition(program).outputs(plan, some).numpy().reshape(SAMPLES, -1)
    assert (ran.outputs == own).all()
    assert ran.ram_bytes == network.ram_bytes
    assert ran.instructions.min() > 1000
    costs = device_costs(network, processor)
    assert costs.code_bytes == pytest.approx(ran.code_bytes, rel=0.05)
    assert costs.flash_bytes == pytest.approx(ran.flash_bytes, rel=0.05)
    assert costs.ram_bytes == ran.ram_bytes
    symbols = subprocess.run(
        ["nm", "-S", "network.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    sizes = {name: int(size, 16) for size, name in re.findall(r"^\w+ (\w+) \w (\w+)$", symbols, re.M)}
    assert {name: sizes[name] for name in network.weight_arrays} == dict(network.weight_arrays)
