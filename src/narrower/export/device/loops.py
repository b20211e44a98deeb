"""The loops around the rows of one step: which axes are walked through, and where an element lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from narrower.export.device.source import contiguous

ROW = 64  # elements of a row where it can be cut
INDENT = "    "


@dataclass(frozen=True)
class Loops:
    """Axes of a sample in groups that are walked through as one; the last group is the row.

    With ``cut``, the row is taken in pieces of at most so many elements; ``n`` is the length of a piece.
    """

    shape: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    cut: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many elements each group has."""
        return tuple(prod(self.shape[axis] for axis in group) for group in self.groups)

    @property
    def row(self) -> int:
        """The length of the row, uncut."""
        return self.sizes[-1]

    @property
    def longest(self) -> int:
        """The most elements that a row or piece has."""
        return min(self.row, self.cut) if self.cut else self.row

    @property
    def is_cut(self) -> bool:
        """Whether the row is taken in pieces."""
        return bool(self.cut) and self.row > self.cut

    @property
    def rows(self) -> int:
        """How many rows or pieces there are in all."""
        return prod(self.sizes[:-1]) * (-(-self.row // self.cut) if self.is_cut else 1)

    @property
    def depth(self) -> int:
        """How many loops there are."""
        return len(self.groups) - 1 + self.is_cut

    @property
    def indent(self) -> str:
        """Before a statement of the innermost loop."""
        return INDENT * (2 + self.depth)

    def opening(self) -> list[str]:
        """The lines that open the loops."""
        lines = [
            f"{INDENT * (2 + i)}for (i{i} = 0; i{i} < {size}; i{i}++) {{"
            for i, size in enumerate(self.sizes[:-1])
        ]
        if self.is_cut:
            lines.append(f"{INDENT * (1 + self.depth)}for (t = 0; t < {self.row}; t += {self.cut}) {{")
        return lines

    def closing(self) -> list[str]:
        """The lines that close them."""
        return [f"{INDENT * (2 + i)}}}" for i in reversed(range(self.depth))]

    def declarations(self) -> list[str]:
        """The variables of the loops."""
        names = [f"i{i}" for i in range(len(self.groups) - 1)] + (["t"] if self.is_cut else [])
        return [f"{INDENT * 2}int32_t {', '.join(names)};"] if names else []

    def length(self) -> str:
        """The declaration of ``n``."""
        if not self.is_cut:
            return f"int32_t n = {self.row};"
        if self.row % self.cut == 0:
            return f"int32_t n = {self.cut};"
        return f"int32_t n = {self.row} - t < {self.cut} ? {self.row} - t : {self.cut};"

    def broadcast(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The strides of a constant of a shape that broadcasts to a sample."""
        missing = len(self.shape) - len(shape)
        assert missing >= 0
        strides = contiguous(tuple(shape))
        return (0,) * missing + tuple(0 if size == 1 else s for size, s in zip(shape, strides, strict=True))

    def index(self, strides: Sequence[int]) -> tuple[str, int]:
        """Where the row begins, as an expression in the loops' variables, and the distance of neighbours."""
        steps = [self._stride(group, strides) for group in self.groups]
        parts = [_times(f"i{i}", step) for i, step in enumerate(steps[:-1]) if step]
        if self.is_cut and steps[-1]:
            parts.append(_times("t", steps[-1]))
        return " + ".join(parts) or "0", steps[-1]

    def _stride(self, group: tuple[int, ...], strides: Sequence[int]) -> int:
        walked = [axis for axis in group if self.shape[axis] > 1]
        return strides[walked[-1]] if walked else 0


def _times(name: str, factor: int) -> str:
    return name if factor == 1 else f"{name} * {factor}"


def merged(shape: tuple[int, ...], strides: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Axes in the fewest groups that everything with these strides can walk through as one axis."""
    groups: list[list[int]] = []
    for axis in range(len(shape)):
        if groups and _continues(shape, groups[-1], axis, strides):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return tuple(tuple(group) for group in groups) or ((),)


def _continues(shape: tuple[int, ...], group: list[int], axis: int, strides: Sequence[Sequence[int]]) -> bool:
    walked = [a for a in group if shape[a] > 1]
    if shape[axis] == 1 or not walked:
        return True
    return all(each[walked[-1]] == each[axis] * shape[axis] for each in strides)
