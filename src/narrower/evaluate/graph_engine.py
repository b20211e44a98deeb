"""Score plans of any program: each value is computed once for all plans that agree upstream of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.evaluate.batch import Batch
from narrower.evaluate.heap import keep_heap, trim_heap
from narrower.evaluate.integer_products import IntegerProducts
from narrower.evaluate.provenance import Provenance
from narrower.evaluate.rounded_only import Formats, RoundedOnly
from narrower.evaluate.sample_engine import SampleEngine, Sink, is_finite
from narrower.evaluate.stacked_plans import StackedPlans
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.own_code.failures import described
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan

LIVE_VALUES = 12  # of the largest value: what one plan needs at a time, with its operators' working memory
HOLES_MATTER = 2**29  # bytes of memory below which the holes in the heap are a large part of it
FREE_BYTES = 2**28  # that stay with the process where holes do not matter
WEIGHTS_SHARE = 8  # one part in so many of the memory at least is for rounded weights
MOST_WEIGHTS = 2  # and one in so many at most
OF_WEIGHTS = 3  # times what the weights take, for two formats of each, also as integers


class GraphEngine(SampleEngine):
    """Batches of samples outside, plans inside in the order that shares the longest prefixes.

    What is held for other plans takes at most ``cache_bytes`` less the values that one plan needs at a time.
    """

    def __init__(
        self,
        steps: Steps,
        part: Part,
        batch_size: int,
        cache_bytes: int,
        value_bytes: int = 0,
        device: str = "cpu",
        plans_at_once: int = 1,
    ) -> None:
        """``value_bytes`` are those of the largest value of one sample.

        With several ``plans_at_once`` their values are stacked, as many as fit into ``cache_bytes``; nothing
        but weights is held then.
        """
        super().__init__(part, batch_size, device)
        self.steps = steps = steps if device == "cpu" else steps.on(device)
        self._provenance = Provenance(steps)
        capacity = cache_bytes - min(cache_bytes // 2, LIVE_VALUES * value_bytes * batch_size)
        of_weights = _weights_share(steps, capacity)
        self._weights = ValueCache(of_weights)
        self._products = IntegerProducts(steps, self._weights, device=device)
        batches = -(-len(part) // batch_size)
        share = (capacity - of_weights) // batches
        self._held = [ValueCache(share) for _ in range(batches)]
        self._rounding = RoundedOnly(steps)
        of_plan = LIVE_VALUES * value_bytes * min(batch_size, len(part)) + 2 * _largest_weight(steps)
        self._plans_at_once = min(plans_at_once, max(1, cache_bytes // max(1, of_plan)))
        self._stacked = StackedPlans(steps, self._weights)
        self._evicted = 0  # bytes, since free memory was given back
        self._is_roomy = cache_bytes >= HOLES_MATTER
        self._trim_after = cache_bytes if self._is_roomy else cache_bytes // 8
        if self._is_roomy:
            keep_heap(FREE_BYTES)

    @property
    def layers(self) -> Sequence[str]:
        """The layers that a plan can round, in the order in which they run."""
        return list(dict.fromkeys(layer for layer, _ in self.steps.slots))

    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The outputs of one plan for any samples: the model's argument, or its arguments."""
        formats = self._formats(plan)
        arguments = (inputs,) if isinstance(inputs, Tensor) else inputs
        return self._all(self.steps.output, self._moved(arguments), formats)

    def unrounded(self, index: int) -> Tensor:
        """The value of a step that no plan changes, for all samples."""
        return self._all(index, self._arguments, self._formats(Plan()))

    def _all(self, index: int, arguments: Sequence[Tensor], formats: Formats) -> Tensor:
        """The value of a step for any samples."""
        names = self._provenance.names(formats)
        batches = zip(*(torch.split(argument, self._batch_size) for argument in arguments), strict=True)
        with torch.inference_mode():
            return torch.cat(
                [
                    Batch(
                        self.steps,
                        batch,
                        ValueCache(0),
                        self._weights,
                        self._products,
                        self._rounding.all_once,
                        self._rounding.cut_off,
                    )
                    .value(index, names, formats)
                    .cpu()
                    for batch in batches
                ]
            )

    def _formats(self, plan: Plan) -> Formats:
        layers = dict(plan.layers)
        return tuple(
            getattr(layers[layer], operand) if layer in layers else FLOAT32
            for layer, operand in self.steps.slots
        )

    def release(self) -> None:
        """Let go what is held for other plans."""
        for held in (self._weights, *self._held):
            held.clear()
        trim_heap()

    def _forget_when_full(self) -> None:
        if self._provenance.is_full:
            self._provenance.forget()
            for held in self._held:
                held.clear()

    def _visit(self, plans: Sequence[Plan], sink: Sink) -> list[str | None]:
        """Give every plan's outputs for every batch to ``sink``; why there are none, for each plan."""
        formats = [self._formats(plan) for plan in plans]
        # Plans that agree in their first slots follow each other.
        ranks: dict[NumberFormat, int] = {}
        keys = [tuple(ranks.setdefault(f, len(ranks)) for f in row) for row in formats]
        order = sorted(range(len(plans)), key=keys.__getitem__)
        self._forget_when_full()
        if self._plans_at_once > 1 and len(plans) > 1:
            return self._visit_together(order, formats, sink)
        return self._visit_each(order, formats, sink)

    def _visit_together(
        self, order: Sequence[int], formats: Sequence[Formats], sink: Sink
    ) -> list[str | None]:
        """The same for several plans at a time; one by one where anything goes wrong with some of them."""
        failures: list[str | None] = [None] * len(formats)
        for start in range(0, len(order), self._plans_at_once):
            some = order[start : start + self._plans_at_once]
            given: list[tuple[int, int, Tensor, Tensor]] = []
            try:
                with torch.inference_mode():
                    for first in range(0, len(self._part), self._batch_size):
                        stop = first + self._batch_size
                        arguments = [argument[first:stop] for argument in self._arguments]
                        found = self._stacked.outputs(arguments, [formats[position] for position in some])
                        targets = self._part.targets[first:stop]
                        for position, outputs in zip(some, found, strict=True):
                            given.append((position, first, outputs.cpu(), targets))
            except torch.OutOfMemoryError:
                raise
            except Exception:
                alone = self._visit_each(some, formats, sink)
                for position in some:
                    failures[position] = alone[position]
                continue
            for position, first, outputs, targets in given:
                if failures[position] is None and not is_finite(outputs):
                    failures[position] = "the outputs hold NaN or infinity"
                if failures[position] is None:
                    try:
                        sink(position, first, outputs, targets)
                    except Exception as error:
                        failures[position] = described(error)
        return failures

    def _visit_each(self, order: Sequence[int], formats: Sequence[Formats], sink: Sink) -> list[str | None]:
        """The same for one plan after the other; what they share is held."""
        names = {position: self._provenance.names(formats[position]) for position in order}
        passed = self._rounding.passed(formats)
        failures: list[str | None] = [None] * len(formats)
        with torch.inference_mode():
            for number, held in enumerate(self._held):
                first = number * self._batch_size
                stop = first + self._batch_size
                targets = self._part.targets[first:stop]
                arguments = tuple(argument[first:stop] for argument in self._arguments)
                batch = Batch(
                    self.steps,
                    arguments,
                    held,
                    self._weights,
                    self._products,
                    passed,
                    self._rounding.cut_off,
                )
                for position in order:
                    if failures[position] is not None:
                        continue
                    try:
                        value = batch.value(self.steps.output, names[position], formats[position])
                        outputs = value.cpu()
                        if not is_finite(outputs):
                            failures[position] = "the outputs hold NaN or infinity"
                            continue
                        sink(position, first, outputs, targets)
                    except torch.OutOfMemoryError:
                        raise  # of the device: no fault of the plan
                    except Exception as error:
                        failures[position] = described(error)
                    self._give_back(held)
                held.shrink()
        return failures

    def _give_back(self, held: ValueCache) -> None:
        """Return freed memory now and then; its pages come back at a price."""
        evicted = self._weights.take_evicted()
        self._evicted += evicted if self._is_roomy else evicted + held.take_evicted()
        if self._evicted > self._trim_after:
            trim_heap()
            self._evicted = 0


def _largest_weight(steps: Steps) -> int:
    """Bytes."""
    return max((tensor.nbytes for tensor in steps.constants.values()), default=0)


def _weights_share(steps: Steps, capacity: int) -> int:
    """Bytes for rounded weights: large networks take longer to round than their values take to form again."""
    rounded = {step.inputs[0] for step in steps.steps if step.slot is not None}
    weights = sum(steps.constants[index].nbytes for index in rounded if index in steps.constants)
    return min(max(capacity // WEIGHTS_SHARE, OF_WEIGHTS * weights), capacity // MOST_WEIGHTS)
