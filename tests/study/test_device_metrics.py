"""Flash, RAM and cycles of a microcontroller as bounds and objectives of a search."""

from pathlib import Path

import pytest
import torch
from torch import nn

import narrower
from narrower.errors import SettingsError
from narrower.export.device.emulated import emulate, is_here
from narrower.export.device.network import c_network
from narrower.export.device.processors import CORTEX_M4
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.plan import Plan, plan_from_dict

SOME = {"data": [8], "weight": [4]}
WIDTHS = {f"seq_blocks.{n}": {"data": [4, 8, 16], "weight": [2, 3, 4, 6, 8], "bias": [8]} for n in (2, 5, 8)}


def plans(found: object) -> list[Plan]:
    return [plan_from_dict(member["plan"]) for member in found.front]  # type: ignore[attr-defined]


def test_every_member_keeps_to_its_budget_once_it_is_linked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    toy = narrower.build_model("jsc-toy").eval()
    bounds = {"flash_bytes": (None, 2950), "ram_bytes": (None, 96)}
    found = narrower.search(
        toy,
        "jets",
        WIDTHS,
        ["accuracy", "cycles"],
        samples=500,
        sampler="tpe",
        n_trials=12,
        constraints=bounds,
    )
    assert found.front
    program = lower(trace(toy, torch.zeros(2, 16), "toy"))
    for number, plan in enumerate(plans(found)):
        member = found.front[number]
        network = c_network(program, plan, "network", "size")
        assert member["ram_bytes"] == network.ram_bytes <= 96
        assert member["flash_bytes"] <= 2950
        if is_here(CORTEX_M4):
            linked = emulate(network, CORTEX_M4, torch.randn(1, 16).numpy(), tmp_path / str(number))
            assert linked.ram_bytes == network.ram_bytes
            assert linked.flash_bytes <= 2950


def test_a_network_that_c_cannot_hold_is_refused_before_the_first_trial() -> None:
    model = nn.Sequential(nn.Linear(16, 8), nn.LayerNorm(8), nn.Linear(8, 5))
    with pytest.raises(SettingsError, match=r"ram_bytes: no plan of .*layer_norm"):
        narrower.search(model, "jets", {"0": SOME, "2": SOME}, ["accuracy", "ram_bytes"], samples=500)
