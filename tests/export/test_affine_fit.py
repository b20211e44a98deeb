"""Integer arithmetic that takes the same steps as a rounded float computation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narrower.export.affine_fit import AffineSteps, fit_affine


def test_halving_rounded_half_up_is_an_offset_and_a_shift() -> None:
    a = np.arange(-8, 9)
    wanted = np.array([-4, -3, -3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4])  # floor(a / 2 + 1 / 2)
    assert fit_affine(a, wanted, None, None) == AffineSteps(1, 1, 1, None, None)


def test_ties_to_even_are_met_by_no_line() -> None:
    a = np.arange(0, 400)
    wanted = np.rint(a / 2).astype(np.int64)  # 0.5 -> 0, 1.5 -> 2, 2.5 -> 2
    assert fit_affine(a, wanted, None, None) is None


def test_a_few_steps_off_the_line_are_corrected() -> None:
    a = np.arange(0, 400)
    wanted = a // 4
    wanted[203] += 1
    found = fit_affine(a, wanted, None, None)
    assert found is not None
    assert found.corrections == ((203, 1),)
    np.testing.assert_array_equal(found(a), wanted)


def test_a_step_from_one_end_of_the_range_to_the_other_is_met() -> None:
    a = np.arange(-5, 6)
    wanted = np.clip(256 * a, -128, 127)
    found = fit_affine(a, wanted, -128, 127)
    assert found is not None
    np.testing.assert_array_equal(found(a), wanted)


def test_a_constant_takes_no_arithmetic() -> None:
    assert fit_affine(np.arange(9), np.full(9, 3), 0, 7) == AffineSteps(0, 3, 0, None, None)


@given(
    st.floats(-2, 2).filter(lambda slope: abs(slope) > 1e-3),
    st.floats(-40, 40),
    st.integers(-500, 0),
    st.integers(20, 500),
)
def test_batch_norm_relu_and_rounding_are_met_at_every_accumulator(
    slope: float, shift: float, first: int, count: int
) -> None:
    a = np.arange(first, first + count)
    values = np.float32(a) * np.float32(slope) + np.float32(shift)
    wanted = np.clip(np.rint(np.maximum(values, 0)), 0, 15).astype(np.int64)
    found = fit_affine(a, wanted, 0, 15)
    if found is None:  # ties that half up cannot give: they need a slope that hits halves again and again
        halves = np.mod(np.float64(values[(values > 0) & (values < 15)]), 1) == 0.5
        assert halves.sum() > 1
    else:
        np.testing.assert_array_equal(found(a), wanted)
