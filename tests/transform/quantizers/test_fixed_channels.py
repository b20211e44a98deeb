"""Fixed point with a fraction for each channel rounds each channel as fixed point of that fraction does."""

import pytest
import torch

from narrower.errors import SettingsError
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.text import parse_format
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through, quantize_to_steps


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    ("rounding", "overflow"),
    [("half_even", "saturate"), ("half_up", "wrap"), ("floor", "saturate_symmetric")],
)
def test_each_channel_rounds_as_fixed_point_of_its_fraction(axis: int, rounding: str, overflow: str) -> None:
    x = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(1)) * 3
    channels = FixedChannels(4, (-1, 2, 5), axis, rounding, overflow)
    own = x.clone().requires_grad_()
    quantize_straight_through(own, channels).sum().backward()
    steps = torch.empty_like(x)
    quantize_to_steps(x, channels, steps)
    for place, frac in enumerate(channels.fracs):
        fixed, one = FixedPoint(4, frac, True, rounding, overflow), x.select(axis, place)
        wanted = quantize(one, fixed)
        assert torch.equal(quantize(x, channels).select(axis, place), wanted)
        assert torch.equal(steps.select(axis, place), wanted * 2.0**frac)
        alone = one.clone().requires_grad_()
        quantize_straight_through(alone, fixed).sum().backward()
        assert own.grad is not None
        assert alone.grad is not None
        assert torch.equal(own.grad.select(axis, place), alone.grad)


def test_text_bits_and_what_does_not_fit() -> None:
    channels = FixedChannels(4, (5, -1, 3), axis=1, rounding="half_up")
    assert channels.text == "fixed_channels(4,fracs=5_-1_3,axis=1,rounding=half_up)"
    assert parse_format(channels.text) == channels
    assert channels.stored_bits((2, 3)) == 6 * 4 + 3 * 8  # an exponent of 8 bits for each channel
    assert channels.grid is None
    grid = FixedChannels(4, (2, 2)).grid
    assert grid == FixedPoint(4, 2).grid
    with pytest.raises(SettingsError, match=r"4 channels along axis 1 .*3 fractions"):
        quantize(torch.zeros(2, 4), channels)
    with pytest.raises(SettingsError, match="fraction width is -64 to 64, not 2_65"):
        parse_format("fixed_channels(4,fracs=2_65)")


def test_as_many_numbers_saturate_as_are_said_and_rounding_again_changes_nothing() -> None:
    weight = torch.tensor([[8.0, 4.0, 2.0, 1.0], [-8.0, 7.0, 7.0, 0.0], [0.0, 0.0, 0.0, 5.0]])
    number_format = parse_format("affine(3,per=channel,saturating=1_0_3)")
    rounded = quantize(weight, number_format)
    # The largest of the others is three steps: 4 / 3 and 8 / 3 in 16 bits. Of zeros alone no scale follows.
    first, second, third = (
        round(end / 3 * 2**shift) / 2**shift for end, shift in ((4, 15), (8, 14), (5, 15))
    )
    assert rounded[0].tolist() == [3 * first, 3 * first, first, first]  # 2 is a little less than 1.5 steps
    assert rounded[1].tolist() == [-3 * second, 3 * second, 3 * second, 0.0]
    assert rounded[2].tolist() == [0.0, 0.0, 0.0, 3 * third]
    assert torch.equal(quantize(rounded, number_format), rounded)
    with pytest.raises(SettingsError, match=r"3 parts .*2 numbers"):
        quantize(weight, Affine(3, per="channel", saturating=(0, 1)))
    with pytest.raises(SettingsError, match="saturating is for"):
        Affine(3, range="mse", saturating=(1,))
