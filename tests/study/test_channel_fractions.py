"""A search whose weights have a fraction or a range for each channel, from its table to what is delivered."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import narrower
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.plan import plan_from_dict

TABLES: dict[str, dict[str, Any]] = {
    "fixed": {"name": ["fixed"], "weight_per": ["channel"]},
    "affine": {"name": ["affine"], "weight_range": ["percentile", "cross_entropy"]},
}


@pytest.mark.parametrize("name", TABLES)
def test_members_read_back_and_compute_what_was_scored(name: str) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    table = {**TABLES[name], "weight": [2, 4], "data": [6], "bias": [6]}
    found = narrower.search(
        model,
        (x, y),
        {"0": table, "2": table},
        ["accuracy", "model_size"],
        sampler="brute_force",
        calibration=CalibrationSettings("cross_entropy", percentile=80.0, samples=100),
    )
    problem = found.problem
    assert found.record.summary.trials == problem.space.size
    for member in found.record.members:
        plan = plan_from_dict(member.plan)
        outputs = found.model(member)(problem.part.inputs)
        accuracy = (outputs.argmax(1) == problem.part.targets).double().mean()
        assert float(accuracy) == pytest.approx(member.metrics["accuracy"], abs=1e-12)
        weights = [plan.layer(layer).weight for layer in ("0", "2")]
        if name == "fixed":
            assert [len(each.fracs) for each in weights if isinstance(each, FixedChannels)] == [4, 2]
            # 24 and 8 weights, an exponent of a byte for each channel, 6 biases of 6 bits.
            bits = 24 * weights[0].bits + 8 * weights[1].bits + 8 * (4 + 2) + 6 * 6
            assert member.metrics["model_size"] == bits / 8
