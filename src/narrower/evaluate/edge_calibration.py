"""Which formats hold the edges of a network with the least loss."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from narrower.evaluate.calibration import affines_for, by_outputs, fractions_for, known_of
from narrower.evaluate.edge_values import edge_values
from narrower.graph.program import Program
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.calibration import USUAL, CalibrationSettings
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.known_data import InChannels, KnownData
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.tasks.task import OfSamplesBy


class EdgeCalibration:
    """Ranges and fraction widths of edges, on the float model's own activations.

    Edges that must agree are looked at together: ``groups`` says for a name which edges are meant, and an
    edge that is not among them is meant alone. ``unsigned`` are those whose values are never below zero.
    """

    def __init__(
        self,
        program: Program,
        *inputs: Tensor,
        unsigned: frozenset[str] = frozenset(),
        groups: Mapping[str, tuple[str, ...]] | None = None,
        rounding: str = "half_even",
        settings: CalibrationSettings = USUAL,
        taught: OfSamplesBy | None = None,
    ) -> None:
        """``program`` is lowered; ``inputs`` [N, ...] are training samples, of which the first are used.

        ``taught`` compares outputs, where the method asks for it (``OutputDivergence``).
        """
        self._by_outputs = by_outputs(program, inputs, settings, taught)
        self._settings, self._rounding = settings, rounding
        self._unsigned, self._groups = unsigned, groups or {}
        self._values = edge_values(program, [argument[: settings.samples] for argument in inputs])
        self._known: dict[str, KnownData] = {}
        self._fractions: dict[tuple[str, int], int] = {}

    def fraction(self, edge: str, width: int) -> int:
        """The fraction width for an edge; of equally good ones the smallest."""
        key = edge, width
        if key not in self._fractions:
            signed = not self._unsigned.issuperset(self._members(edge))
            values, rounding = [self._of(edge)], self._rounding
            fractions = fractions_for(values, width, rounding, self._settings, signed=signed)
            formats = [FixedPoint(width, fraction, signed, rounding) for fraction in fractions]
            self._fractions[key] = fractions[self._best(edge, formats)]
        return self._fractions[key]

    def known_data(self, edge: str) -> KnownData:
        """What an edge holds."""
        if edge not in self._known:
            self._known[edge] = known_of(self._of(edge).double(), self._settings)
        return self._known[edge]

    def affine(self, edge: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        """The affine integers that hold an edge."""
        values, known = self._of(edge).double(), self.known_data(edge)
        formats = affines_for(values, known, width, self._settings, symmetric=symmetric, scales=scales)
        return formats[self._best(edge, formats)]

    def weight(self, layer: str, _wanted: InChannels, _method: str) -> InChannels:
        raise AssertionError(f"{layer}: edges have no weights")

    def _best(self, edge: str, formats: Sequence[NumberFormat]) -> int:
        """The place of the format with which the outputs are nearest to those of float32."""
        if len(formats) == 1 or self._by_outputs is None:
            return 0
        members = self._members(edge)
        plans = [Plan.of({name: LayerPlan(output=each) for name in members}) for each in formats]
        return self._by_outputs.nearest(plans)

    def _members(self, edge: str) -> tuple[str, ...]:
        return self._groups.get(edge, (edge,))

    def _of(self, edge: str) -> Tensor:
        found = [self._values[name] for name in self._members(edge) if name in self._values]
        return torch.cat(found) if found else torch.zeros(1)
