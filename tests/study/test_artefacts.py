"""Metrics that are measured on what plans are exported to, in searches."""

import numpy as np
import pytest
import torch
from torch import nn

import narrower
from narrower.data.datasets import load_data_set
from narrower.errors import SettingsError
from narrower.export.luts import ebops, luts
from narrower.export.own_outputs import own_outputs
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.plan import plan_from_dict
from narrower.preparation.settings import CandidateSettings

LAYERS = ("seq_blocks.2", "seq_blocks.5", "seq_blocks.8")
WIDTHS = {layer: {"data": [6], "weight": [2, 4], "bias": [6]} for layer in LAYERS}


@pytest.fixture(scope="module")
def toy() -> nn.Module:
    """jsc-toy with batch norm statistics of the jets."""
    torch.manual_seed(1)
    model = build_model("jsc-toy").train()
    with torch.no_grad():
        for _ in range(20):
            model(load_data_set("jets").train.inputs[:2000])
    return model.eval()


def test_logic_metrics_are_measured_for_every_plan(toy: nn.Module) -> None:
    pytest.importorskip("da4ml")
    data = load_data_set("jets")
    found = narrower.search(toy, data, WIDTHS, ["accuracy", "luts", "ebops", "energy"], samples=1000)
    assert found.record.summary.failed == 0
    program = lower(trace(toy, data.train.inputs[:3]))
    for member in found.front:
        plan = plan_from_dict(member["plan"])
        outputs = own_outputs(program, plan, data.validation.inputs[:1000])
        assert member["luts"] == luts(program, plan, outputs)
        assert member["ebops"] == ebops(program, plan)
    assert max(member["luts"] for member in found.front) > 0
    assert any("extrapolation" in warning for warning in found.record.warnings)


def test_a_metric_that_no_plan_has_is_refused_before_the_first_trial(toy: nn.Module) -> None:
    only_first = {"seq_blocks.2": WIDTHS["seq_blocks.2"]}
    with pytest.raises(SettingsError, match=r"ebops: .*seq_blocks\.5: its data is float32"):
        narrower.search(toy, "jets", only_first, ["accuracy", "ebops"], samples=1000)


def test_the_front_alone_is_measured_where_that_is_asked_for(toy: nn.Module) -> None:
    found = narrower.search(
        toy,
        "jets",
        WIDTHS,
        ["accuracy", "average_bitwidth"],
        samples=1000,
        measure_front=["latency", "ebops"],
    )
    members = found.record.members
    assert members
    for member in members:
        assert member.metrics["latency"] > 0
        assert member.metrics["ebops"] > 0
        assert member.latency is not None
        assert member.latency["ratio_low"] <= member.latency["ratio"] <= member.latency["ratio_high"]
        assert not member.unmeasured
    # plans that differ in widths alone have one graph, which is measured once
    assert len({member.latency["ratio"] for member in members if member.latency}) == 1


def test_latency_as_an_objective_is_measured_for_all_plans(toy: nn.Module) -> None:
    space = {"seq_blocks.2": {"data": [8], "weight": [4, 8]}, "seq_blocks.5": {"data": [8], "weight": [4, 8]}}
    found = narrower.search(
        toy, "jets", space, ["accuracy", "latency"], samples=500, sampler="tpe", n_trials=4
    )
    assert found.record.summary.trials == 4
    assert np.isfinite([member["latency"] for member in found.front]).all()


def test_candidates_with_weights_of_their_own_are_measured_at_the_front_only(toy: nn.Module) -> None:
    space = {"seq_blocks.2": {"width": [0.5, 1]}}
    kept = CandidateSettings(weights="slice")
    with pytest.raises(SettingsError, match=r"objectives: latency: .*measure_front = \['latency'\]"):
        narrower.search(toy, "jets", space, ["accuracy", "latency"], samples=500, candidates=kept)
    found = narrower.search(
        toy,
        "jets",
        space,
        ["accuracy", "macs"],
        samples=500,
        candidates=kept,
        measure_front=["latency"],
    )
    assert all(member["latency"] > 0 for member in found.front)


def test_dropping_plans_early_knows_no_bound_of_what_is_measured(toy: nn.Module) -> None:
    with pytest.raises(SettingsError, match="drop_dominated: there are no bounds for luts"):
        narrower.search(toy, "jets", WIDTHS, ["accuracy", "luts"], samples=500, drop_dominated=True)


@pytest.mark.parametrize(("metric", "direction"), [("accuracy", "minimize"), ("loss", "maximize")])
def test_dropping_plans_early_knows_no_best_case_in_the_wrong_direction(
    metric: str, direction: str, toy: nn.Module
) -> None:
    wanted = {metric: direction, "bitops": "minimize"}
    with pytest.raises(SettingsError, match=f"drop_dominated: .* {metric} is to be {direction}d"):
        narrower.search(toy, "jets", WIDTHS, wanted, samples=500, drop_dominated=True)


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(
        SettingsError,
        match="measure_front: found 'bitops'; allowed: latency, luts, registers, latency_ns, ebops, ",
    ):
        narrower.search("jsc-toy", "jets", WIDTHS, ["accuracy"], measure_front=["bitops"])
