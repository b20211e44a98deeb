"""Score the plans of a chain: samples in columns, sorted by class, and siblings in one product.

A sample is right when the score of its class is above those of all earlier classes and not below those of
later ones: what ``argmax`` says, without its cost. All sums are exact (see ``chain``), so that the order in
which they are formed cannot change a bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.evaluate.chain import Chain, Option
from narrower.evaluate.chain_tree import Branch, Group, grow
from narrower.evaluate.cross_entropy import STEPS_OF_ONE, loss_steps
from narrower.quantizers.quantize import quantize_to_steps

LARGEST_CHUNK = 512  # samples in one product
BLOCK_BYTES = 2**20  # values that a product's siblings give for samples visited together: a core's own cache
FEWEST_USED = 0.25  # share of the columns that hold a sample


@dataclass(frozen=True, slots=True)
class Samples:
    """What enters a chain: ``values`` [chunks, K, B]; all samples of a chunk are of one class.

    Columns that hold no sample are NaN, which no comparison calls right. ``order`` [chunks * B] is the
    sample in each column, -1 where there is none.
    """

    values: Tensor
    classes: tuple[int, ...]
    order: Tensor


def arrange(values: Tensor, targets: Tensor) -> Samples | None:
    """Sort samples [N, K] by class; None where the chunks would be mostly empty."""
    found, counts = torch.unique(targets, return_counts=True)
    most = int(counts.max())
    pieces = -(-most // LARGEST_CHUNK)
    chunk = -(-most // (16 * pieces)) * 16
    order, classes = [], []
    for label, count in zip(found.tolist(), counts.tolist(), strict=True):
        chunks = -(-count // chunk)
        padded = torch.full((chunks * chunk,), -1)
        padded[:count] = torch.nonzero(targets == label).flatten()
        order.append(padded)
        classes.extend([label] * chunks)
    positions = torch.cat(order)
    if len(values) < FEWEST_USED * len(positions):
        return None
    columns = values[positions.clamp(min=0)]
    columns[positions < 0] = torch.nan
    chunked = columns.view(len(classes), chunk, -1).transpose(1, 2).contiguous()
    return Samples(chunked, tuple(classes), positions)


class ChainScores:
    """Right and wrong of many plans of one chain on one arrangement of samples."""

    def __init__(self, chain: Chain, samples: Samples) -> None:
        self._chain, self._samples = chain, samples
        chunk = samples.values.shape[2]
        most = max(len(stage.weight) for stage in chain.stages)
        self._widest = [max(1, BLOCK_BYTES // (4 * chunk * len(stage.weight))) for stage in chain.stages]
        self._most = most

    def counts(
        self, plans: Sequence[tuple[Option, ...]], *, loss: bool
    ) -> tuple[list[int], list[float] | None]:
        """For each plan, how many samples it gets right, and with ``loss`` the sum of the cross entropies."""
        correct = torch.zeros(len(plans), dtype=torch.int64)
        losses = torch.zeros(len(plans), dtype=torch.float64) if loss else None

        def count(group: Group, right: Tensor, _first: int, outputs: Tensor, label: int) -> None:
            found = right.view(torch.uint8).sum((1, 3), dtype=torch.int32)
            correct[group.plans] += found.flatten()
            if losses is not None:
                found_losses = loss_steps(outputs, outputs[:, :, :, label], dim=3)
                losses[group.plans] += found_losses.nansum((1, 3), dtype=torch.float64).flatten()

        self._visit(plans, count)
        return correct.tolist(), None if losses is None else losses.div_(STEPS_OF_ONE).tolist()

    def hits(self, plans: Sequence[tuple[Option, ...]]) -> Tensor:
        """Whether each plan gets each sample right: truth values [plans, N] in the samples' own order."""
        chunks, _, width = self._samples.values.shape
        columns = torch.zeros(len(plans), chunks, width, dtype=torch.bool)

        def keep(group: Group, right: Tensor, first: int, _outputs: Tensor, _label: int) -> None:
            columns[group.plans, first : first + right.shape[1]] = right.transpose(1, 2).flatten(0, 1)

        self._visit(plans, keep)
        order = self._samples.order
        is_sample = order >= 0
        hits = torch.zeros(len(plans), int(is_sample.sum()), dtype=torch.bool)
        hits[:, order[is_sample]] = columns.flatten(1)[:, is_sample]
        return hits

    def _visit(self, plans: Sequence[tuple[Option, ...]], sink: Callable[..., None]) -> None:
        if not plans:
            return
        tree = grow(plans, self._widest)
        siblings = max((len(g.formats) * g.count for g in tree), default=1)
        chunk = self._samples.values.shape[2]
        together = max(1, BLOCK_BYTES // (4 * chunk * self._most * siblings))
        chunks = len(self._samples.classes)
        for start in range(0, chunks, together):
            block = self._samples.values[start : start + together]
            _Visit(self._chain, self._samples.classes[start : start + together], start, sink).branch(
                0, block, tree
            )


class _Visit:
    """One block of chunks on its way through the tree."""

    def __init__(self, chain: Chain, classes: Sequence[int], first: int, sink: Callable[..., None]) -> None:
        self._stages, self._sink = chain.stages, sink
        self._runs = _runs(classes)
        self._first = first
        self._inputs: dict[int, Tensor] = {}
        self._outputs: dict[int, Tensor] = {}

    def branch(self, depth: int, values: Tensor, groups: Branch) -> None:
        """Go on with values [chunks, K, B] that enter a layer."""
        stage = self._stages[depth]
        chunks, _, width = values.shape
        padded = self._padded(depth, values)
        for group in groups:
            inputs = padded[:, :-1]
            sums = self._sums(depth, len(group.formats) * group.count * chunks * len(stage.weight) * width)
            sums = sums.view(len(group.formats), chunks, group.count, len(stage.weight), width)
            for number, (data, matrix) in enumerate(zip(group.formats, group.matrices, strict=True)):
                quantize_to_steps(values, data, inputs)
                torch.bmm(
                    matrix.expand(chunks, -1, -1), padded, out=sums[number].view(chunks, len(matrix), width)
                )
            if group.bias is not None:
                sums += group.bias
            for operator in stage.after:
                operator.apply(sums)
            if group.plans is not None:
                self._score(group, sums)
            else:
                for number, branch in enumerate(group.branches):
                    of_format, option = divmod(number, group.count)
                    self.branch(depth + 1, sums[of_format, :, option], branch)

    def _padded(self, depth: int, values: Tensor) -> Tensor:
        """Room for a layer's rounded inputs, with a last row of ones that takes the bias."""
        if depth not in self._inputs:
            chunks, channels, width = values.shape
            self._inputs[depth] = torch.ones(chunks, channels + 1, width)
        return self._inputs[depth]

    def _sums(self, depth: int, size: int) -> Tensor:
        """Room for a layer's sums; not that of another layer on the way."""
        if depth not in self._outputs or len(self._outputs[depth]) < size:
            self._outputs[depth] = torch.empty(size)
        return self._outputs[depth][:size]

    def _score(self, group: Group, outputs: Tensor) -> None:
        for label, start, stop in self._runs:
            some = outputs[:, start:stop]
            own = some[:, :, :, label]
            later = some[:, :, :, label + 1 :]
            if label == 0:
                right = own >= _largest(later if later.shape[3] else some)
            else:
                right = own > _largest(some[:, :, :, :label])
                if later.shape[3]:
                    right.logical_and_(own >= _largest(later))
            self._sink(group, right, self._first + start, some, label)


def _largest(scores: Tensor) -> Tensor:
    """Largest of the classes in dimension 3."""
    most = scores[:, :, :, 0]
    if scores.shape[3] == 1:
        return most
    most = torch.maximum(most, scores[:, :, :, 1])
    for other in range(2, scores.shape[3]):
        torch.maximum(most, scores[:, :, :, other], out=most)
    return most


def _runs(classes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Neighbouring chunks of one class: the class, the first chunk, the chunk after the last."""
    runs = []
    start = 0
    for stop in range(1, len(classes) + 1):
        if stop == len(classes) or classes[stop] != classes[start]:
            runs.append((classes[start], start, stop))
            start = stop
    return runs
