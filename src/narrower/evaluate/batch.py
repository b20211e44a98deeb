"""How the value of a plan is computed for one batch of samples: only what is not held from other plans."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor

from narrower.evaluate.integer_products import IntegerProducts
from narrower.evaluate.rounded_only import Formats
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.transform.quantizers.quantize import quantize_owned

NOTHING_CUT: Mapping[int, int] = MappingProxyType({})


class Batch:
    """One batch of samples on its way through the program, for one plan after the other."""

    def __init__(
        self,
        steps: Steps,
        arguments: tuple[Tensor, ...],
        held: ValueCache,
        weights: ValueCache,
        products: IntegerProducts,
        passed: frozenset[int] = frozenset(),
        cut_off: Mapping[int, int] = NOTHING_CUT,
    ) -> None:
        self._passed, self._cut_off = passed, cut_off
        self._steps, self._held, self._weights, self._products = steps, held, weights, products
        self._given: dict[int, Any] = {
            **steps.constants,
            **dict(zip(steps.batch_inputs, arguments, strict=True)),
        }

    def value(self, wanted: int, names: Sequence[int], formats: Formats) -> Tensor:
        """The value of a step; only what is not held from other plans is computed."""
        steps, values = self._steps, self._given.copy()
        missing, weights = self._missing(wanted, values, names)
        pinned = frozenset(names)
        readers = Counter(source for index in missing for source in set(steps.steps[index].inputs))
        for index in sorted(missing):
            step = steps.steps[index]
            for source in weights.intersection(step.inputs).difference(values):
                values[source] = self._weight(source, formats)
            value = self._products.run(index, values, formats, names, self._held)
            if value is None and index in steps.owned and step.inputs[0] in self._passed:
                assert step.slot is not None  # nobody holds what is written over
                value = quantize_owned(values[step.inputs[0]], formats[step.slot])
            if value is None and self._is_cut_off(index, formats):
                value = values[step.inputs[0]]
            if value is None:
                value = steps.run(index, values, formats)
            values[index] = value
            if step.slot is not None and formats[step.slot] == FLOAT32:
                pass  # the very tensor that it reads
            elif index in self._passed:
                pass  # what it is rounded to comes next
            elif index in steps.kept:
                self._held.put(names[index], value, pinned)
            for source in set(step.inputs):
                readers[source] -= 1
                if not readers[source]:
                    del values[source]
        found: Tensor = values[wanted]
        return found

    def _weight(self, index: int, formats: Formats) -> Tensor:
        """A rounded constant; only here, so that what is held of others can go while one is read."""
        slot = self._steps.steps[index].slot
        assert slot is not None
        found: Tensor | None = self._weights.get((index, formats[slot]))
        if found is None:
            found = self._steps.run(index, self._given, formats)
            if formats[slot] != FLOAT32:  # that is the constant itself
                self._weights.put((index, formats[slot]), found)
        return found

    def _is_cut_off(self, index: int, formats: Formats) -> bool:
        """Whether a step is a ReLU whose only reader rounds to a format without numbers below zero."""
        if index not in self._cut_off or index not in self._passed:
            return False
        number_format = formats[self._cut_off[index]]
        return (
            isinstance(number_format, FixedPoint)
            and not number_format.signed
            and number_format.overflow != "wrap"
        )

    def _missing(
        self, wanted: int, values: dict[int, Any], names: Sequence[int]
    ) -> tuple[list[int], set[int]]:
        """Steps that must run, and rounded constants that they read.

        The held values that they read are added to ``values``.
        """
        steps, missing, weights, seen = self._steps, list[int](), set[int](), set[int]()
        waiting = [wanted]
        while waiting:
            index = waiting.pop()
            if index in seen or index in values:
                continue
            seen.add(index)
            step = steps.steps[index]
            if step.slot is not None and step.inputs[0] in steps.constants and index != wanted:
                weights.add(index)
                continue
            held = self._held.get(names[index]) if index in steps.kept else None
            if held is not None:
                values[index] = held
            else:
                missing.append(index)
                waiting.extend(step.inputs)
        return missing, weights
