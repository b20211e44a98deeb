"""Automatic ranges: what loses least, or holds what it is asked to hold."""

import pytest
import torch
from torch import nn

import narrower.evaluate.calibration as calibration_module
from narrower.data.datasets import DataSet
from narrower.evaluate.calibration import Calibration, best_fraction, fraction_over, range_of
from narrower.evaluate.definition import defined_outputs
from narrower.evaluate.edge_calibration import EdgeCalibration
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.classification.task import Classification
from narrower.tasks.task import Ending
from narrower.transform.quantizers.quantize import quantize


@pytest.mark.parametrize("scale", [1e-3, 0.7, 40.0])
@pytest.mark.parametrize("width", [2, 3, 4, 8])
def test_no_other_fraction_has_a_smaller_error(width: int, scale: float) -> None:
    values = torch.randn(5000, generator=torch.Generator().manual_seed(1)).double() * scale
    found = best_fraction([values], width)
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1

    def error(fraction: int) -> float:
        rounded = torch.fake_quantize_per_tensor_affine(values.float(), 2.0**-fraction, 0, low, high)
        return float((rounded.double() - values).square().sum())

    errors = {fraction: error(fraction) for fraction in range(-20, 30)}
    assert errors[found] == pytest.approx(min(errors.values()), rel=1e-6)


def test_weights_are_calibrated_on_themselves(jsc_toy_lowered: Program, jets: DataSet) -> None:
    calibration = Calibration(jsc_toy_lowered, jets.train.inputs)
    weight = jsc_toy_lowered.network.product_layers["seq_blocks.5"]
    assert weight
    tensor = next(
        tensor
        for node, tensor in jsc_toy_lowered.tensors.items()
        if jsc_toy_lowered.parameter_names.get(node) == "seq_blocks.5.weight"
    )
    assert calibration.fraction("seq_blocks.5", "weight", 4) == best_fraction([tensor], 4)


def test_data_without_a_sign_get_one_bit_more_of_resolution() -> None:
    values = [torch.linspace(0, 1.9, 4000)]
    assert best_fraction(values, 4) == 2
    assert best_fraction(values, 4, signed=False) == 3
    assert best_fraction([torch.linspace(0, 0.9, 4000)], 1, signed=False) == 1  # 0 or 1/2


def test_ranges_hold_all_values_the_middle_of_them_or_what_loses_least() -> None:
    torch.manual_seed(0)
    values = torch.cat([torch.randn(100_000), torch.tensor([40.0, -3.0])]).double()
    everything = range_of(values, CalibrationSettings("max"))
    assert everything == (float(values.min()), 40.0)
    low, high = range_of(values, CalibrationSettings("percentile", 99.0))
    assert (low, high) == pytest.approx((-2.326, 2.326), abs=0.05)  # of the normal distribution
    assert fraction_over(*everything, 8) == 1  # 40 is 80 halves, and 160 quarters are too many
    assert fraction_over(low, high, 8) == 5  # 2.33 is 75 of 1/32, and 149 of 1/64 are too many
    assert best_fraction([values.float()], 8) > 1


@pytest.mark.parametrize(
    ("low", "high", "width", "signed", "fraction"),
    [
        (-1.0, 0.9, 4, True, 3),  # -8 to 7 eighths
        (-1.0, 1.0, 4, True, 2),  # 8 eighths would saturate
        (0.0, 1.0, 4, True, 2),
        (0.0, 1.0, 4, False, 3),  # 8 of up to 15
        (0.0, 0.96, 4, False, 4),  # 15.36 rounds to 15
        (0.0, 0.98, 4, False, 3),
        (0.0, 0.0, 6, True, 3),
        (0.0, 300.0, 8, False, -1),
    ],
)
def test_the_finest_fraction_that_saturates_nothing(
    low: float, high: float, width: int, signed: bool, fraction: int
) -> None:
    assert fraction_over(low, high, width, signed=signed) == fraction
    number_format = FixedPoint(width, fraction, signed)
    x = torch.tensor([low, high])
    assert ((quantize(x, number_format) - x).abs() <= number_format.step / 2).all()


def test_affine_data_that_lose_least_lose_less_than_data_that_saturate_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    samples = torch.randn(2000, 8) * torch.logspace(-1, 1, 8)
    program = lower(trace(model, samples[:3]))
    data = model[1](model[0](samples[:500])).detach()
    errors = {}
    for method in ("max", "percentile", "mse"):
        calibration = Calibration(program, samples, settings=CalibrationSettings(method, 99.9, 500))
        number_format = calibration.affine("2", 4, symmetric=False, scales="free")
        assert calibration.affine("2", 4, symmetric=False, scales="free") == number_format
        errors[method] = float((quantize(data, number_format) - data).square().sum())
        if method == "max":
            largest = number_format.scale * (15 - number_format.zero)
            assert largest == pytest.approx(float(data.max()), rel=1e-3)
    assert errors["mse"] <= min(errors.values())
    assert errors["mse"] < errors["max"]


def divergence(logits: torch.Tensor, wanted: torch.Tensor) -> float:
    """Kullback and Leibler's, in double precision, from the definition."""
    own, theirs = logits.double().softmax(1), wanted.double().softmax(1)
    return float((theirs * (theirs.log() - own.log())).sum(1).mean())


@pytest.mark.parametrize("operand", ["data", "weight"])
def test_cross_entropy_takes_what_changes_the_outputs_least(operand: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    samples = torch.randn(200, 8) * torch.logspace(-1, 1, 8)
    program = lower(trace(model, samples[:3]))
    taught = Classification().loss(Ending()).taught
    settings = CalibrationSettings("cross_entropy", samples=200)
    wanted = defined_outputs(program, Plan(), samples)

    def loss(number_format: NumberFormat) -> float:
        plan = Plan.of({"2": LayerPlan(**{operand: number_format})})
        return divergence(defined_outputs(program, plan, samples), wanted)

    found = Calibration(program, samples, settings=settings, taught=taught).fraction("2", operand, 4)
    least = Calibration(program, samples).fraction("2", operand, 4)
    losses = {fraction: loss(FixedPoint(4, fraction)) for fraction in range(least - 3, least + 3)}
    assert losses[found] <= losses[least]
    if found + 1 in losses and found - 1 in losses:
        assert losses[found] <= min(losses[found - 1], losses[found + 1])


def test_edges_are_calibrated_by_the_outputs_as_well() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    samples = torch.randn(200, 8) * torch.logspace(-1, 1, 8)
    program = lower(trace(model, samples[:3]))
    taught = Classification().loss(Ending()).taught
    known = {
        method: EdgeCalibration(program, samples, settings=CalibrationSettings(method), taught=taught)
        for method in ("max", "mse", "cross_entropy")
    }
    wanted = defined_outputs(program, Plan(), samples)
    losses = {}
    for method, calibration in known.items():
        number_format = calibration.affine("0", 3, symmetric=False, scales="free")
        plan = Plan.of({"0": LayerPlan(output=number_format)})
        losses[method] = divergence(defined_outputs(program, plan, samples), wanted)
    assert losses["cross_entropy"] <= losses["max"]
    assert losses["cross_entropy"] < 1.2 * losses["mse"]


def test_a_regular_part_of_very_many_values_is_held_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch, jsc_toy: nn.Module, jsc_toy_lowered: Program, jets: DataSet
) -> None:
    most, samples = 500, 400
    entering: list[torch.Tensor] = []
    hook = jsc_toy.get_submodule("seq_blocks.5").register_forward_pre_hook(
        lambda _module, inputs: entering.append(inputs[0].detach())
    )
    jsc_toy(jets.train.inputs[:samples])
    hook.remove()
    monkeypatch.setattr(calibration_module, "LARGEST_SAMPLE", most)
    calibration = Calibration(
        jsc_toy_lowered, jets.train.inputs, settings=CalibrationSettings(samples=samples)
    )
    flat = entering[0].flatten()
    some = flat[:: -(-len(flat) // most)]
    assert len(flat) > most
    assert calibration.fraction("seq_blocks.5", "data", 6) == best_fraction([some], 6)
    held = [value for (_, operand), own in calibration._values.items() for value in own if operand == "data"]
    assert max(value.untyped_storage().nbytes() for value in held) <= 4 * most


def test_the_model_runs_when_a_fraction_is_first_asked_for(
    monkeypatch: pytest.MonkeyPatch, jsc_toy_lowered: Program, jets: DataSet
) -> None:
    runs: list[int] = []
    operands = calibration_module._operands
    monkeypatch.setattr(calibration_module, "_operands", lambda *given: runs.append(1) or operands(*given))
    calibration = Calibration(jsc_toy_lowered, jets.train.inputs)
    assert runs == []
    for width in (4, 8):
        calibration.fraction("seq_blocks.5", "weight", width)
    assert runs == [1]
