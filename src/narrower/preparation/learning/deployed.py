"""What a learned network is once it is deployed: whole numbers, and a width for each of them.

Shapes in names: n samples, i what a layer reads, o its outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
FLOAT32_BITS, FLOAT64_BITS = 24, 53


@dataclass(frozen=True, eq=False)
class LearnedLayer:
    """A linear layer and the data that it reads, as whole numbers of steps ``2**-fraction``.

    Weights [I, O] and biases [O] are odd or zero, so that their fractions are the smallest that hold them.
    Data [I] are ``floor(x * 2**fraction + 1/2)``, unsigned, or where ``data_signed`` with a sign among the
    bits of their width; outside its range they saturate, or where ``data_wrap`` lose their highest bits. A
    width of zero is a zero.
    """

    weights: Integers
    weight_fractions: Integers
    biases: Integers
    bias_fractions: Integers
    data_widths: Integers
    data_fractions: Integers
    data_signed: NDArray[np.bool_]
    data_wrap: bool = False

    @cached_property
    def weight_widths(self) -> Integers:
        """Bits of each weight without its sign."""
        return bit_lengths(self.weights)

    @cached_property
    def data_limits(self) -> tuple[Integers, Integers]:
        """Smallest and largest data in steps."""
        magnitudes = np.where(self.data_signed, np.maximum(self.data_widths - 1, 0), self.data_widths)
        signed = self.data_signed & (self.data_widths > 0)
        return np.where(signed, -(1 << magnitudes), 0), (1 << magnitudes) - 1

    @cached_property
    def weight_values(self) -> Floats:
        return np.ldexp(self.weights.astype(np.float64), -self.weight_fractions)

    @cached_property
    def bias_values(self) -> Floats:
        return np.ldexp(self.biases.astype(np.float64), -self.bias_fractions)

    @cached_property
    def ebops(self) -> int:
        """Effective bit operations: data bits times the bits that each weight really needs."""
        return int((self.data_widths[:, None] * self.weight_widths).sum())

    @cached_property
    def sum_fraction(self) -> int:
        """The fraction that holds every product and bias."""
        products = (self.weight_fractions + self.data_fractions[:, None])[self.weights != 0]
        biases = self.bias_fractions[self.biases != 0]
        return int(max(products.max(initial=0), biases.max(initial=0)))

    @cached_property
    def largest_sum(self) -> float:
        """A bound on the magnitude of every sum that the data can give."""
        low, high = self.data_limits
        reach = np.ldexp(np.maximum(-low, high).astype(np.float64), -self.data_fractions)
        return float((reach @ np.abs(self.weight_values) + np.abs(self.bias_values)).max(initial=0.0))

    def rounded(self, values_ni: NDArray[Any]) -> NDArray[Any]:
        """Data in steps, of the type of ``values_ni``, which must hold half a step."""
        steps = unbounded_steps(values_ni, self.data_fractions)
        low, high = (limit.astype(steps.dtype) for limit in self.data_limits)
        if self.data_wrap:
            count = high - low + 1
            return np.asarray(steps - np.floor((steps - low) / count) * count)
        return np.clip(steps, low, high, out=steps)

    def sum_type(self, next_fraction: int = 0) -> type[np.float32] | type[np.float64]:
        """The narrowest float type that holds every sum that the data can give, and ``2**-next_fraction``."""
        bits = int(np.frexp(self.largest_sum)[1]) + max(self.sum_fraction, next_fraction) + 1
        assert bits <= FLOAT64_BITS, f"sums of {bits} bits"
        return np.float32 if bits <= FLOAT32_BITS else np.float64

    def sums(self, steps_ni: NDArray[Any], next_fraction: int = 0) -> NDArray[Any]:
        """What the layer computes from data in steps, of ``sum_type``."""
        kind = self.sum_type(next_fraction)
        scaled = np.ldexp(self.weight_values, -self.data_fractions[:, None])
        return np.asarray(
            steps_ni.astype(kind, copy=False) @ scaled.astype(kind) + self.bias_values.astype(kind)
        )


@dataclass(frozen=True, eq=False)
class LearnedChain:
    """Linear layers with ReLU between them; the last one's sums are the network's outputs."""

    layers: tuple[LearnedLayer, ...]

    @cached_property
    def ebops(self) -> int:
        """Effective bit operations of all layers."""
        return sum(layer.ebops for layer in self.layers)

    @property
    def widest_data(self) -> Integers:
        """The widest of each layer's data."""
        return np.array([layer.data_widths.max(initial=0) for layer in self.layers])

    def outputs(self, inputs_ni: NDArray[np.float32]) -> NDArray[Any]:
        """Exact outputs [N, O], for any samples."""
        return [sums for _, sums in self.passes(inputs_ni)][-1]

    def passes(self, inputs_ni: NDArray[np.float32]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """For each layer its data in steps [N, I] and its sums [N, O]."""
        steps = self.layers[0].rounded(inputs_ni.astype(np.float64))
        for layer, following in zip_longest(self.layers, self.layers[1:]):
            sums = layer.sums(steps, 0 if following is None else half_step_fraction(following.data_fractions))
            yield steps, sums
            if following is not None:
                steps = following.rounded(np.maximum(sums, 0))

    def whole_outputs(self, inputs_ni: NDArray[np.float32]) -> tuple[Integers, int]:
        """The same in integers alone, in steps of ``2**-fraction``: the definition of what is deployed."""
        steps = self.layers[0].rounded(inputs_ni.astype(np.float64)).astype(np.int64)
        for layer, following in zip_longest(self.layers, self.layers[1:]):
            fraction = layer.sum_fraction
            shifts = fraction - layer.weight_fractions - layer.data_fractions[:, None]
            weights = layer.weights << np.where(layer.weights != 0, shifts, 0)
            sums = steps @ weights + (
                layer.biases << np.where(layer.biases != 0, fraction - layer.bias_fractions, 0)
            )
            if following is not None:
                steps = _shifted(sums, fraction - following.data_fractions)
                steps, high = np.maximum(steps, 0), following.data_limits[1]
                steps = steps & high if following.data_wrap else np.minimum(steps, high)
        return sums, fraction


def unbounded_steps(values_ni: NDArray[Any], fractions: Integers) -> NDArray[Any]:
    """Values in steps, rounded half up."""
    kind = values_ni.dtype
    steps = values_ni * np.ldexp(1.0, fractions).astype(kind)
    steps += kind.type(0.5)
    floors: NDArray[Any] = np.floor(steps, out=steps)
    return floors


def half_step_fraction(fractions: Integers) -> int:
    """The fraction that holds half a step of each of the data."""
    return int(fractions.max(initial=-1)) + 1


def bit_lengths(integers: Integers) -> Integers:
    """Bits of each magnitude: 0 for 0."""
    return np.frexp(np.abs(integers).astype(np.float64))[1].astype(np.int64)


def odd_part(integers: Integers, fractions: Integers) -> tuple[Integers, Integers]:
    """The same numbers without trailing zeros; zero has the fraction 0."""
    lowest = integers & -integers
    zeros = np.where(integers != 0, bit_lengths(lowest) - 1, 0)
    return integers >> zeros, np.where(integers != 0, fractions - zeros, 0)


def _shifted(sums: Integers, shifts: Integers) -> Integers:
    """Sums divided by ``2**shifts``, rounded half up; negative shifts multiply."""
    right = np.maximum(shifts, 0)
    half = np.where(right > 0, 1 << np.maximum(right - 1, 0), 0)
    return ((sums + half) >> right) << np.maximum(-shifts, 0)
