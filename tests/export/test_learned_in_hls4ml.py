"""hls4ml compiles learned networks, chains and convolutions, and computes them bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from narrower.evaluate.definition import Definition
from narrower.export.own_outputs import own_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import Plan
from narrower.preparation.learning.freeze import fit_widths
from narrower.preparation.learning.plan_form import as_model, plan_of
from tests.export.test_hls4ml_form import of_hls4ml
from tests.export.test_learned_program_logic import Pooled, frozen
from tests.preparation.learning.test_deployed import random_chain, samples

SAMPLES = 1000


@pytest.mark.slow
@pytest.mark.parametrize("overflow", ["saturate", "symmetric"])
def test_chains(tmp_path: Path, overflow: str) -> None:
    """Widths, steps and signs of each entry; layers as wide as those before; data that saturate."""
    sizes = (6, 7, 7, 3)
    inputs = samples(0, SAMPLES, sizes[0])
    inputs[:, 4:] = np.abs(inputs[:, 4:])  # without a sign
    chain = fit_widths(random_chain(0, sizes, sparsity=0.4), inputs[:100])
    model, names = as_model(chain)
    plan = plan_of(chain, names)
    layers, signs = {}, set()
    for name in names:
        layer = plan.layer(name)
        assert isinstance(layer.data, FixedEach)
        signs |= set(layer.data.signs[layer.data.widths > 0].tolist())
        layers[name] = replace(layer, data=replace(layer.data, overflow=overflow))
    assert signs == {0, 1}
    plan, wide = Plan.of(layers), torch.from_numpy(2 * inputs)
    program = lower(trace(model, wide[:3], "learned"))
    ours = own_outputs(program, plan, wide)
    assert np.ptp(ours, axis=0).min() > 0
    np.testing.assert_array_equal(of_hls4ml(program, plan, wide, tmp_path), ours)


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["weight", "channel"])
def test_convolutions(tmp_path: Path, granularity: str) -> None:
    """With max pooling between them; data have a width for each channel, and saturate."""
    program, plan, inputs = frozen(Pooled, 4, granularity)
    wide = 2 * torch.cat([inputs, torch.randn(SAMPLES, *inputs.shape[1:]).round(decimals=4)])
    with torch.no_grad():
        ours = Definition(program).outputs(plan, wide).numpy()
    assert np.ptp(ours, axis=0).min() > 0
    np.testing.assert_array_equal(of_hls4ml(program, plan, wide, tmp_path), ours)
