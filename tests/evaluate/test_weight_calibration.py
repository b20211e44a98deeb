"""Ranges and fractions of a weight's channels: each method's answer, computed another way."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.learned_rounding import with_learned_rounding
from narrower.export.compressed import load_compressed, save_packed
from narrower.export.device.weights import whole_weights
from narrower.export.formats.fixed_each import on_one_grid
from narrower.export.integers import whole_numbers
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan, plan_from_dict, plan_to_dict
from narrower.transform.pruned import without_pruned
from narrower.transform.quantized import quantized
from narrower.transform.quantizers.quantize import quantize


def _model() -> tuple[nn.Module, Program, Tensor]:
    """A network whose first layer's channels have very different ranges."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        model[0].weight.mul_(torch.tensor([[8.0], [1.0], [0.1]]))
    x = torch.randn(64, 8)
    return model, lower(trace(model, x[:2])), x


def _weight(model: nn.Module) -> Tensor:
    weight = model.get_parameter("0.weight")
    return weight.detach()


def test_max_holds_every_weight_of_a_channel_with_the_finest_step_that_does() -> None:
    model, program, x = _model()
    known = Calibration(program, x, settings=CalibrationSettings("max"))
    found = known.weight("0", FixedChannels(4, (2,)), "calibration")
    assert isinstance(found, FixedChannels)
    assert len(set(found.fracs)) == 3
    for row, frac in zip(_weight(model), found.fracs, strict=True):
        assert float((row * 2.0**frac).min()) >= -8.5
        assert float((row * 2.0**frac).max()) <= 7.5
        assert (
            not float((row * 2.0 ** (frac + 1)).min()) >= -8.5 or float((row * 2.0 ** (frac + 1)).max()) > 7.5
        )


@pytest.mark.parametrize("method", [None, "mse"])
def test_the_least_squared_error_is_that_of_each_channel(method: str | None) -> None:
    model, program, x = _model()
    known = Calibration(program, x, settings=CalibrationSettings(method))
    found = known.weight("0", FixedChannels(3, (1,)), "calibration")
    assert isinstance(found, FixedChannels)
    for row, frac in zip(_weight(model).double(), found.fracs, strict=True):
        errors = {f: float((quantize(row, FixedPoint(3, f)) - row).square().sum()) for f in range(-6, 12)}
        assert errors[frac] == min(errors.values())


def test_a_percentile_says_how_many_weights_of_a_part_saturate() -> None:
    _, program, x = _model()
    known = Calibration(program, x, settings=CalibrationSettings(percentile=75.0))
    of = {
        per: known.weight("0", Affine(4, per=per), "percentile").text
        for per in ("tensor", "channel", "group32")
    }
    # A quarter of 24 weights, and of 8; a group of 32 is filled with zeros.
    assert of["tensor"] == "affine(4,saturating=6)"
    assert of["channel"] == "affine(4,per=channel,saturating=2)"
    assert of["group32"] == "affine(4,per=group32,saturating=8)"


@pytest.mark.parametrize("wanted", [FixedChannels(2, (1,)), Affine(2, per="channel")])
def test_by_the_outputs_nothing_is_further_than_by_the_weights_alone(wanted: Affine | FixedChannels) -> None:
    model, program, x = _model()
    known = Calibration(program, x, settings=CalibrationSettings("cross_entropy"))
    start = (
        Calibration(program, x).weight("0", wanted, "calibration")
        if isinstance(wanted, FixedChannels)
        else None
    )
    found = known.weight("0", wanted, "calibration" if start else "cross_entropy")

    def lost(plan: Affine | FixedChannels) -> float:
        outputs = defined_outputs(program, Plan.of({"0": LayerPlan(weight=plan)}), x)
        return float((outputs - defined_outputs(program, Plan(), x)).square().mean())

    if isinstance(found, FixedChannels):
        assert isinstance(start, FixedChannels)
        assert lost(found) <= lost(start)
        others = [FixedChannels(2, fracs) for fracs in product(*((f - 1, f, f + 1) for f in start.fracs))]
        assert found in others
    else:
        assert lost(found) <= lost(Affine(2, per="channel"))
        assert len(found.saturating) == len(_weight(model))


def test_plans_with_such_weights_are_scored_delivered_and_read_back_as_they_are_defined(
    tmp_path: Path,
) -> None:
    model, program, x = _model()
    channels = FixedChannels(4, (1, 3, 6))
    plan = Plan.of(
        {
            "0": LayerPlan(FixedPoint(8, 4), channels, FixedPoint(8, 6)),
            "2": LayerPlan(FixedPoint(8, 3, False), Affine(3, per="channel", saturating=(0, 1)), FLOAT32),
        }
    )
    assert plan_from_dict(plan_to_dict(plan)) == plan
    wanted = defined_outputs(program, plan, x)
    assert torch.equal(
        Evaluator(program, Part(x, torch.zeros(64, dtype=torch.long))).outputs(plan, x), wanted
    )
    assert torch.equal(quantized(model, plan)(x), wanted)
    save_packed(model, "own", plan, tmp_path / "packed.safetensors", (x[:2],))
    assert torch.equal(load_compressed(tmp_path / "packed.safetensors", model, x[:2])(x), wanted)
    rounded = quantize(_weight(model), channels)
    held, one_format = on_one_grid(_weight(model), channels)  # what logic and QONNX write
    assert np.array_equal(whole_numbers(held, one_format) * 2.0**-6, rounded.double().numpy())
    whole = whole_weights(_weight(model), channels, "0")
    assert np.array_equal(whole.values * 2.0**-whole.frac, rounded.double().numpy())
    learned = with_learned_rounding(model, plan, x, steps=20).get_parameter("0.weight").detach()
    assert torch.equal(quantize(learned, channels), learned)
    steps = torch.tensor([2.0**-frac for frac in channels.fracs])[:, None]
    assert ((learned - _weight(model)).abs() <= steps).all()


def test_what_cannot_have_numbers_for_each_channel_is_said() -> None:
    lstm = nn.LSTM(3, 4, proj_size=2, batch_first=True).eval()
    x = torch.randn(2, 5, 3)
    program = lower(trace(_First(lstm), x))
    with pytest.raises(SettingsError, match="its matrices have 2 and 16 channels"):
        Calibration(program, x).weight("inner", FixedChannels(4, (2,)), "calibration")
    _, program, x = _model()
    with pytest.raises(SettingsError, match="for each tensor or channel, not group32"):
        Calibration(program, x).weight("0", Affine(4, per="group32"), "cross_entropy")


class _First(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)[0]
        return found


def test_channels_that_are_taken_out_take_their_numbers_with_them() -> None:
    model, _, x = _model()
    with torch.no_grad():
        model.get_parameter("0.weight")[1] = 0
        model.get_parameter("0.bias")[1] = 0
    each = {"0": LayerPlan(weight=FixedChannels(4, (1, 3, 6))), "2": LayerPlan(FLOAT32, FixedPoint(4, 3))}
    pruned = without_pruned(model, Plan.of(each), x)
    assert pruned.taken == {"0": 1}
    assert pruned.plan.layer("0").weight == FixedChannels(4, (1, 6))
    affine = {"0": LayerPlan(weight=Affine(4, per="channel", saturating=(1, 0, 2)))}
    assert without_pruned(model, Plan.of(affine), x).plan.layer("0").weight == Affine(
        4, per="channel", saturating=(1, 2)
    )
