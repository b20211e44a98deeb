"""Score the plans of a chain: samples in columns, sorted by their targets, and siblings in one product.

All sums are exact (see ``chain``), so that the order in which they are formed cannot change a bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.evaluate.chain import Chain, Option
from narrower.evaluate.chain_tree import Branch, Group, grow
from narrower.tasks.columns import Arrangement, Columns
from narrower.transform.quantizers.quantize import quantize_to_steps

BLOCK_BYTES = 2**20  # values that a product's siblings give for samples visited together: a core's own cache
FEW_VALUES = 2**16  # outputs of a visit that are better looked at all together than kind by kind
FEWEST_USED = 0.25  # share of the columns that hold a sample


@dataclass(frozen=True, slots=True)
class Samples:
    """What enters a chain: ``values`` [chunks, K, width], NaN in columns that hold no sample."""

    values: Tensor
    arrangement: Arrangement


def arrange(values: Tensor, targets: Tensor, columns: Columns) -> Samples | None:
    """Sort samples [N, K]; None where the chunks would be mostly empty."""
    found = columns.arrange(targets)
    if len(values) < FEWEST_USED * len(found.order):
        return None
    placed = values[found.order.clamp(min=0)]
    placed[found.order < 0] = torch.nan
    chunked = placed.view(len(found.kinds), found.width, -1).transpose(1, 2).contiguous()
    return Samples(chunked, found)


class ChainEngine:
    """What a task says of many plans of one chain on one arrangement of samples."""

    def __init__(self, chain: Chain, samples: Samples, columns: Columns) -> None:
        self._chain, self._samples, self._columns = chain, samples, columns
        chunk = samples.values.shape[2]
        most = max(len(stage.weight) for stage in chain.stages)
        self._widest = [max(1, BLOCK_BYTES // (4 * chunk * len(stage.weight))) for stage in chain.stages]
        self._most = most
        self._room = _Room(chain)

    def sums(self, plans: Sequence[tuple[Option, ...]], *, loss: bool) -> list[tuple[float, ...]]:
        """For each plan, what all samples contribute to each wanted metric."""
        totals: list[Tensor] = []

        def add(group: Group, _first: int, outputs: Tensor, kinds: Sequence[int]) -> None:
            found = self._columns.sums(outputs, kinds, loss=loss)
            if not totals:
                totals.extend(torch.zeros(len(plans), dtype=torch.float64) for _ in found)
            for total, part in zip(totals, found, strict=True):
                total[group.plans] += part.flatten()

        self._visit(plans, add, FEW_VALUES)
        return list(zip(*(total.tolist() for total in totals), strict=True))

    def contributions(self, plans: Sequence[tuple[Option, ...]]) -> Tensor:
        """What each sample contributes to the leading metric: [plans, N] in the samples' own order."""
        found = self._samples.arrangement
        columns: list[Tensor] = []

        def keep(group: Group, first: int, outputs: Tensor, kinds: Sequence[int]) -> None:
            own = self._columns.contributions(outputs, kinds[0])
            if not columns:
                columns.append(torch.zeros(len(plans), len(found.kinds), found.width, dtype=own.dtype))
            columns[0][group.plans, first : first + own.shape[1]] = own.transpose(1, 2).flatten(0, 1)

        self._visit(plans, keep, 0)
        is_sample = found.order >= 0
        contributions = columns[0].new_zeros(len(plans), int(is_sample.sum()))
        contributions[:, found.order[is_sample]] = columns[0].flatten(1)[:, is_sample]
        return contributions

    def _visit(self, plans: Sequence[tuple[Option, ...]], sink: Callable[..., None], few_values: int) -> None:
        """Give the outputs to ``sink``, those of each kind alone; of several where there are few of them."""
        if not plans:
            return
        tree = grow(plans, self._widest)
        siblings = max((len(g.formats) * g.count for g in tree), default=1)
        chunk = self._samples.values.shape[2]
        together = max(1, BLOCK_BYTES // (4 * chunk * self._most * siblings))
        kinds = self._samples.arrangement.kinds
        for start in range(0, len(kinds), together):
            block = self._samples.values[start : start + together]
            visit = _Visit(self._room, kinds[start : start + together], start, sink, few_values)
            visit.branch(0, block, tree)


class _Room:
    """The memory of visits, which is used again."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._inputs: dict[tuple[int, int], Tensor] = {}
        self._outputs: dict[int, Tensor] = {}

    def padded(self, depth: int, values: Tensor) -> Tensor:
        """Room for a layer's rounded inputs, with a last row of ones that takes the bias."""
        chunks, channels, width = values.shape
        if (depth, chunks) not in self._inputs:
            self._inputs[depth, chunks] = torch.ones(chunks, channels + 1, width)
        return self._inputs[depth, chunks]

    def sums(self, depth: int, size: int) -> Tensor:
        """Room for a layer's sums; not that of another layer on the way."""
        if depth not in self._outputs or len(self._outputs[depth]) < size:
            self._outputs[depth] = torch.empty(size)
        return self._outputs[depth][:size]


class _Visit:
    """One block of chunks on its way through the tree."""

    def __init__(
        self, room: _Room, kinds: Sequence[int], first: int, sink: Callable[..., None], few_values: int
    ) -> None:
        self._room, self._stages, self._sink = room, room.chain.stages, sink
        self._kinds, self._few_values = kinds, few_values
        self._runs = _runs(kinds)
        self._first = first

    def branch(self, depth: int, values: Tensor, groups: Branch) -> None:
        """Go on with values [chunks, K, B] that enter a layer."""
        stage = self._stages[depth]
        chunks, _, width = values.shape
        padded = self._room.padded(depth, values)
        for group in groups:
            inputs = padded[:, :-1]
            sums = self._room.sums(
                depth, len(group.formats) * group.count * chunks * len(stage.weight) * width
            )
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

    def _score(self, group: Group, outputs: Tensor) -> None:
        if outputs.numel() <= self._few_values:
            self._sink(group, self._first, outputs, self._kinds)
            return
        for kind, start, stop in self._runs:
            self._sink(group, self._first + start, outputs[:, start:stop], (kind,))


def _runs(kinds: Sequence[int]) -> list[tuple[int, int, int]]:
    """Neighbouring chunks of one kind: the kind, the first chunk, the chunk after the last."""
    runs = []
    start = 0
    for stop in range(1, len(kinds) + 1):
        if stop == len(kinds) or kinds[stop] != kinds[start]:
            runs.append((kinds[start], start, stop))
            start = stop
    return runs
