"""The weights of a product as whole numbers times one scale, or times one for each output."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrower.errors import ExportError
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.sign_only import Binary, Ternary
from narrower.preparation.learning.deployed import bit_lengths
from narrower.transform.quantizers.quantize import quantize

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
WIDEST = 31  # bits of a weight with its sign
MOST_ZEROS = 62


@dataclass(frozen=True, eq=False)
class WholeWeights:
    """``values * 2**-frac``; with ``scales`` times a factor for each output, the first axis of ``values``."""

    values: Integers
    frac: int
    scales: NDArray[np.float32] | None = None


def whole_weights(
    weight: Tensor, number_format: NumberFormat, layer: str, data_fracs: Integers | None = None
) -> WholeWeights:
    """Rounded weights [outputs, ...] as whole numbers.

    ``data_fracs`` are those of data whose entries have steps of their own, in the shape of the last axes of
    the weight: the steps of the data are moved into the weights then.

    Raises:
        ExportError: the format has no whole numbers; the message names the layer.
    """
    rounded = quantize(weight.detach().float(), number_format).double().numpy()
    has_own_scales = isinstance(number_format, Affine | Binary | Ternary) and number_format.grid is None
    if (
        number_format.grid is None
        and not has_own_scales
        and not isinstance(number_format, FixedEach | FixedChannels)
    ):
        raise ExportError(f"{layer}: its weight is {number_format.text}; C computes with whole numbers")
    if not np.isfinite(rounded).all():
        raise ExportError(f"{layer}: its weights are not finite")
    if has_own_scales:
        if data_fracs is not None:
            raise ExportError(
                f"{layer}: its weight is {number_format.text} and its data have steps of their own; "
                "C has one of both"
            )
        return _scaled(weight, rounded, number_format, layer)
    if data_fracs is not None:
        rounded = np.ldexp(rounded, -data_fracs)
    return WholeWeights(*_on_one_grid(rounded, layer))


def _on_one_grid(rounded: Floats, layer: str) -> tuple[Integers, int]:
    """The numbers in the coarsest steps that hold them all."""
    if not rounded.any():
        return np.zeros(rounded.shape, np.int64), 0
    mantissas, exponents = np.frexp(rounded[rounded != 0])
    odd = np.ldexp(mantissas, 53).astype(np.int64)
    zeros = bit_lengths(odd & -odd) - 1
    frac = int((53 - zeros - exponents).max())
    largest = float(np.ldexp(np.abs(rounded).max(), frac))
    if largest >= 2.0**WIDEST:
        raise ExportError(f"{layer}: its weights span {int(np.log2(largest)) + 2} bits; C has {WIDEST + 1}")
    return np.ldexp(rounded, frac).astype(np.int64), frac


def _scaled(weight: Tensor, rounded: Floats, number_format: NumberFormat, layer: str) -> WholeWeights:
    assert isinstance(number_format, Affine | Binary | Ternary)
    axis = number_format.axis % weight.dim()
    if number_format.per not in ("tensor", "channel") or (number_format.per == "channel" and axis != 0):
        raise ExportError(
            f"{layer}: its weight is {number_format.text}; C has one scale for each output or for all"
        )
    rows = rounded.reshape(len(rounded), -1)
    if isinstance(number_format, Affine):
        steps = torch.empty_like(weight.detach().float())
        _steps(weight.detach().float(), number_format, steps)
        whole = steps.double().numpy().astype(np.int64).reshape(rows.shape)
    else:
        whole = np.sign(rows).astype(np.int64)
    at = np.abs(whole).argmax(1)[:, None]
    largest = np.take_along_axis(whole, at, 1)[:, 0]
    # Scales have 16 significant bits, so that their multiples are exact and so is this division.
    ratio = np.take_along_axis(rows, at, 1)[:, 0] / np.where(largest == 0, 1, largest)
    scales = np.where(largest == 0, 1.0, ratio).astype(np.float32)
    return WholeWeights(whole.reshape(rounded.shape), 0, scales)


def _steps(weight: Tensor, number_format: Affine, out: Tensor) -> None:
    from narrower.transform.quantizers.catalogue import QUANTIZERS

    QUANTIZERS[Affine].round_to_steps(weight, number_format, out)
