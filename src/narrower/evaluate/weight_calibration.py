"""Which ranges a weight's channels get: by what they hold, or by what the network's outputs lose."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import floor
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from narrower.errors import SettingsError
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.parts import rows_of
from narrower.transform.quantizers.quantize import quantize

MOST_CHANNELS = 4096  # whose numbers are written into a plan
MOVED = 32  # channels of a layer that are tried in the network
# How many of a channel's largest magnitudes may saturate, where several numbers are tried.
COUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
MOST_SATURATING = 4  # a quarter of a channel

Numbered = TypeVar("Numbered", Affine, FixedChannels)  # with a number for each channel
FractionsFor = Callable[[Sequence[Tensor], CalibrationSettings], int]


class Nearest(Protocol):
    """Tells with which plan the outputs are nearest to those of float32."""

    def nearest(self, plans: Sequence[Plan]) -> int:
        """The place of that plan; the first of equally near ones."""


def fixed_in_channels(
    wanted: FixedChannels,
    weights: Sequence[Tensor],
    settings: CalibrationSettings,
    fraction: FractionsFor,
    moved: Callable[[FixedChannels, Sequence[Sequence[int]]], FixedChannels],
) -> FixedChannels:
    """The fraction of each channel by the method of ``settings``; ``fraction`` gives that of some values.

    By the outputs: first those that lose least in the weight, then ``moved`` by a bit up or down.

    Raises:
        SettingsError: the weights have different numbers of channels, or very many.
    """
    rows = _rows(weights, "channel", wanted.axis)
    by_outputs = settings.method == "cross_entropy"
    own = replace(settings, method="mse") if by_outputs else settings
    found = replace(wanted, fracs=tuple(fraction([row], own) for row in rows))
    if not by_outputs or len(rows) == 1:
        return found
    return moved(found, [(frac, frac + 1, frac - 1) for frac in found.fracs])


def affine_holding(wanted: Affine, weights: Sequence[Tensor], percentile: float) -> Affine:
    """Affine integers that hold the middle ``percentile`` of the magnitudes of each part."""
    sizes = [rows_of(weight, wanted.per, wanted.axis).shape[1] for weight in weights]
    beyond = floor(min(sizes, default=0) * (100 - percentile) / 100 + 1e-9)
    return replace(wanted, saturating=(beyond,))


def affine_by_outputs(
    wanted: Affine,
    weights: Sequence[Tensor],
    moved: Callable[[Affine, Sequence[Sequence[int]]], Affine],
) -> Affine:
    """Affine integers of a tensor or its channels: what loses least in the weight, then ``moved``.

    Raises:
        SettingsError: there is a scale for each group, or there are very many channels.
    """
    if wanted.per not in ("tensor", "channel"):
        raise SettingsError(
            f"weight_range = 'cross_entropy' is for a scale for each tensor or channel, not {wanted.per}"
        )
    rows = _rows(weights, wanted.per, wanted.axis)
    most = rows.shape[1] // MOST_SATURATING
    counts = [count for count in COUNTS if count <= most] or [0]
    places = _least_places(rows, replace(wanted, axis=0), counts)
    found = replace(wanted, saturating=tuple(counts[place] for place in places))
    near = [
        tuple(counts[other] for other in (place, place + 1, place - 1) if 0 <= other < len(counts))
        for place in places
    ]
    return moved(found, near)


def _least_places(rows: Tensor, wanted: Affine, counts: Sequence[int]) -> list[int]:
    """For each row the place of the count with the least squared error."""
    errors = [
        (quantize(rows, replace(wanted, saturating=(count,))) - rows).square().sum(1) for count in counts
    ]
    if wanted.per == "tensor":
        errors = [error.sum().view(1) for error in errors]
    found: list[int] = torch.stack(errors).argmin(0).tolist()
    return found


def moved_by_outputs(
    start: Numbered,
    options: Sequence[Sequence[int]],
    *,
    layer: str,
    weights: Sequence[Tensor],
    outputs: Nearest,
) -> Numbered:
    """One pass of coordinate descent: channel by channel, the option with which outputs are nearest.

    Of many channels those that lose most are moved; of each, the first of ``options`` is what it has.
    """
    per = "channel" if isinstance(start, FixedChannels) else start.per
    rows = _rows(weights, per, start.axis)
    lost = (_rows([quantize(w, start) for w in weights], per, start.axis) - rows).square().sum(1)
    order = lost.argsort(descending=True, stable=True)[:MOVED].tolist()
    best = start
    for channel in order:
        tried = [_with(best, channel, option) for option in options[channel]]
        plans = [Plan.of({layer: LayerPlan(weight=number_format)}) for number_format in tried]
        best = tried[outputs.nearest(plans)]
    return best


def _with(number_format: Numbered, channel: int, option: int) -> Numbered:
    """A format in which one channel has another number."""
    if isinstance(number_format, FixedChannels):
        fracs = list(number_format.fracs)
        fracs[channel] = option
        return replace(number_format, fracs=tuple(fracs))
    counts = list(number_format.saturating)
    counts[channel] = option
    return replace(number_format, saturating=tuple(counts))


def _rows(weights: Sequence[Tensor], per: str, axis: int) -> Tensor:
    """The channels of all matrices of a layer, side by side."""
    rows = [rows_of(weight.detach().double(), per, axis) for weight in weights]
    counts = sorted({len(row) for row in rows})
    if len(counts) > 1:
        raise SettingsError(
            f"its matrices have {' and '.join(map(str, counts))} channels; numbers for each channel are "
            "for weights that have the same"
        )
    if counts and counts[0] > MOST_CHANNELS:
        raise SettingsError(
            f"it has {counts[0]:,} channels, whose numbers a plan would list; the most are {MOST_CHANNELS:,}"
        )
    return torch.cat(rows, 1) if rows else torch.zeros(1, 1, dtype=torch.float64)
