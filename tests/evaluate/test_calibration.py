"""Automatic fractions minimise the squared error."""

import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.evaluate.calibration import Calibration, best_fraction
from narrower.graph.program import Program


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
