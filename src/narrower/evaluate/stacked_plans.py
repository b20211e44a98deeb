"""The values of many plans at a time: what differs between them lies along a leading dimension.

An accelerator is busy when it has much to do at once. A step is run once for all plans with one
``torch.func.vmap``, on those of its values that differ; plans that agree upstream of it share one.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from narrower.evaluate.rounded_only import Formats
from narrower.evaluate.steps import Step, Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize

ANY_SHAPE = (FixedPoint, type(FLOAT32))  # formats that round each number by itself, whatever its place
CLOSE = 1e-3
Rows = tuple[int, ...]  # for each plan, which of the values of a step it has


class StackedPlans:
    """Runs a program for several plans at once."""

    def __init__(self, steps: Steps, weights: ValueCache) -> None:
        self._steps, self._weights = steps, weights
        self._has_form: dict[int, bool] = {}  # steps that were tried with one dimension more

    def outputs(self, arguments: Sequence[Tensor], plans: Sequence[Formats]) -> list[Tensor]:
        """The output of each plan for one batch of samples; ``plans`` have a format for each slot."""
        steps = self._steps
        same = (0,) * len(plans)
        values: dict[int, Any] = {**steps.constants, **dict(zip(steps.batch_inputs, arguments, strict=True))}
        rows: dict[int, Rows] = dict.fromkeys(values, same)
        readers = Counter(source for step in steps.steps for source in set(step.inputs))
        for index, step in enumerate(steps.steps[: steps.output + 1]):
            if index in values:
                continue
            rows[index], firsts = _different(step, rows, plans)
            wanted = {source: tuple(rows[source][plan] for plan in firsts) for source in step.inputs}
            values[index] = self._values(index, values, wanted, [plans[plan] for plan in firsts], rows)
            if len(firsts) > 1 and not _holds_tensors(values[index]):
                values[index], rows[index] = values[index][0], same  # a size is that of all plans
            for source in set(step.inputs):
                readers[source] -= 1
                if not readers[source] and source not in steps.constants:
                    del values[source]
        found, of_plan = values[steps.output], rows[steps.output]
        return [found if max(of_plan) == 0 else found[row] for row in of_plan]

    def _values(
        self,
        index: int,
        values: Mapping[int, Any],
        wanted: Mapping[int, Rows],
        formats: Sequence[Formats],
        rows: Mapping[int, Rows],
    ) -> Any:
        """The different values of a step: one as it is, several along a new first dimension."""
        step = self._steps.steps[index]
        stacked = {source for source in step.inputs if max(rows[source]) > 0}
        if len(formats) == 1 and step.slot is None:
            return self._alone(index, {source: values[source] for source in step.inputs}, formats[0])
        if step.slot is not None:
            return self._rounded(index, values[step.inputs[0]], wanted, formats, bool(stacked))

        def alone(place: int) -> Any:
            rows_of = {source: wanted[source][place] for source in stacked}
            given = {
                source: _row(values[source], rows_of[source]) if source in stacked else values[source]
                for source in step.inputs
            }
            return self._alone(index, given, formats[place])

        if step.inside is None and self._has_form.get(index, True):
            try:
                found = self._together(index, values, wanted, stacked)
                if index not in self._has_form:  # it is not taken unseen
                    self._has_form[index] = _are_close(_row(found, -1), alone(len(formats) - 1))
                if self._has_form[index]:
                    return found
            except torch.OutOfMemoryError:
                raise
            except Exception:  # there is no such form; what else is wrong shows below
                self._has_form[index] = False
        return _stacked([alone(place) for place in range(len(formats))])

    def _alone(self, index: int, values: Mapping[int, Any], formats: Formats) -> Any:
        """The value of a step for one plan; nothing is overwritten."""
        if self._steps.steps[index].inside is not None:
            return self._steps.run(index, values, formats)
        return self._steps.called(index, values)

    def _together(
        self, index: int, values: Mapping[int, Any], wanted: Mapping[int, Rows], stacked: set[int]
    ) -> Any:
        step = self._steps.steps[index]
        given = [
            _rows(values[source], wanted[source]) if source in stacked else values[source]
            for source in step.inputs
        ]

        def run(*arguments: Any) -> Any:
            return self._steps.called(index, dict(zip(step.inputs, arguments, strict=True)))

        dimensions = tuple(0 if source in stacked else None for source in step.inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operators that torch runs one after the other
            mapped: Callable[..., Any] = torch.func.vmap(run, in_dims=dimensions)
            return mapped(*given)

    def _rounded(
        self,
        index: int,
        source: Tensor,
        wanted: Mapping[int, Rows],
        formats: Sequence[Formats],
        is_stacked: bool,
    ) -> Tensor:
        """What is rounded in each of the formats; those of weights are held for other lists of plans."""
        step = self._steps.steps[index]
        assert step.slot is not None
        is_weight = step.inputs[0] in self._steps.constants
        own, of_source = [each[step.slot] for each in formats], wanted[step.inputs[0]]
        if len(own) == 1:
            return self._held(index, source, own[0]) if is_weight else quantize(source, own[0])

        def in_format(number_format: NumberFormat, places: Sequence[int]) -> Sequence[Tensor]:
            if is_weight:
                return [self._held(index, source, number_format)] * len(places)
            if not is_stacked:
                return [quantize(source, number_format)] * len(places)
            if isinstance(number_format, ANY_SHAPE):
                return quantize(
                    _rows(source, tuple(of_source[place] for place in places)), number_format
                ).unbind()
            return [quantize(source[of_source[place]], number_format) for place in places]

        found: list[Tensor] = [source] * len(own)
        for number_format in dict.fromkeys(own):
            places = [place for place, each in enumerate(own) if each == number_format]
            for place, value in zip(places, in_format(number_format, places), strict=True):
                found[place] = value
        return torch.stack(found)

    def _held(self, index: int, source: Tensor, number_format: NumberFormat) -> Tensor:
        held: Tensor | None = self._weights.get((index, number_format))
        if held is None:
            held = quantize(source, number_format)
            if number_format != FLOAT32:
                self._weights.put((index, number_format), held)
        return held


def _different(step: Step, rows: Mapping[int, Rows], plans: Sequence[Formats]) -> tuple[Rows, list[int]]:
    """Which value of a step each plan has, and for each value the first plan that has it."""
    slots = [slot for slot in (step.slot, step.inside) if slot is not None]
    known: dict[tuple[object, ...], int] = {}
    firsts: list[int] = []
    found = []
    for plan, formats in enumerate(plans):
        key = (*(formats[slot] for slot in slots), *(rows[source][plan] for source in step.inputs))
        if key not in known:
            known[key] = len(known)
            firsts.append(plan)
        found.append(known[key])
    return tuple(found), firsts


def _rows(value: Any, rows: Rows) -> Any:
    """Some of the values along the first dimension; no copy where it is all of them, in their order."""
    if isinstance(value, tuple | list):
        return tuple(_rows(item, rows) for item in value)
    if rows == tuple(range(len(value))):
        return value
    return torch.stack([value[row] for row in rows])  # an index would be sent to the device


def _row(value: Any, row: int) -> Any:
    return tuple(_row(item, row) for item in value) if isinstance(value, tuple | list) else value[row]


def _are_close(one: Any, other: Any) -> bool:
    """Whether values are the same but for how sums are rounded."""
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_are_close, one, other))
    return one.shape == other.shape and torch.allclose(one, other, CLOSE, CLOSE, equal_nan=True)


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, tuple | list):
        return tuple(_stacked(items) for items in zip(*values, strict=True))
    return torch.stack(list(values)) if isinstance(first, Tensor) else list(values)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_holds_tensors(item) for item in value)
    return isinstance(value, Tensor)
