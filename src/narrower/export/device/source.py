"""The C of a network while it is written: arrays, buffers, steps, and the functions that they use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from narrower.export.device.numbers import SIZES, Number
from narrower.export.device.runtime_typed import LIBRARY


@dataclass(frozen=True)
class Buffer:
    """Memory for ``count`` elements; with a ``name`` it is a parameter of the network's function."""

    position: int
    kind: str
    count: int
    name: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * SIZES[self.kind]

    @property
    def pointer(self) -> str:
        """How C names its first element; of a planned one a mark that is replaced once it has its place."""
        return self.name or f"@{self.position}@"


@dataclass(frozen=True)
class View:
    """A value of one sample: which elements of a buffer, in which order, and what they stand for."""

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    number: Number

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow one another."""
        wanted = contiguous(self.shape)
        return all(
            size == 1 or step == want
            for size, step, want in zip(self.shape, self.strides, wanted, strict=True)
        )

    def pointer(self, index: str = "0") -> str:
        """The address of an element."""
        at = " + ".join(part for part in (str(self.offset or ""), index if index != "0" else "") if part)
        return f"{self.buffer.pointer} + {at}" if at else self.buffer.pointer


@dataclass(frozen=True)
class Array:
    """Constants of a network; ``is_weights`` where they are the weights of a product in any form."""

    name: str
    kind: str
    values: NDArray[np.generic]
    is_weights: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.values.size * SIZES[self.kind]


@dataclass
class Work:
    """How often a function is written, called, and goes through an element."""

    sites: int = 0
    calls: int = 0
    elements: int = 0


@dataclass
class Step:
    """One function of the network: its lines, and the buffers that it reads and writes."""

    name: str
    lines: list[str] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)


@dataclass
class Source:
    """What has been written so far."""

    arrays: list[Array] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    views: list[View] = field(default_factory=list)  # of whole buffers
    steps: list[Step] = field(default_factory=list)
    used: dict[str, None] = field(default_factory=dict)
    longest_row: int = 0
    longest_wide_row: int = 0
    reads_two_rows: bool = False
    constant_bytes: int = 0  # of what is no array
    work: dict[str, Work] = field(default_factory=dict)  # by function

    def use(self, name: str) -> str:
        """A function of the library, which is written with all that it needs."""
        for needed in LIBRARY[name].needs:
            self.use(needed)
        self.used.setdefault(name)
        return name

    def count(self, name: str, calls: int, elements: int) -> None:
        """Note one place where a function is called, and what it does there in one run."""
        work = self.work.setdefault(name, Work())
        work.sites += 1
        work.calls += calls
        work.elements += elements

    def array(
        self, kind: str, values: Sequence[int] | NDArray[np.generic], label: str, weights: bool = False
    ) -> str:
        """Hold constants, once where they are the same."""
        held = np.ascontiguousarray(values).reshape(-1)
        for array in self.arrays:
            if array.kind == kind and not weights and np.array_equal(array.values, held):
                return array.name
        name = f"k{len(self.arrays)}_{label}"
        self.arrays.append(Array(name, kind, held, weights))
        return name

    def buffer(self, kind: str, shape: tuple[int, ...], number: Number, name: str = "") -> View:
        """New memory for a value."""
        made = Buffer(len(self.buffers), kind, prod(shape), name)
        self.buffers.append(made)
        self.views.append(View(made, shape, contiguous(shape), 0, number))
        return self.views[-1]


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The distances of neighbours along each axis where the elements follow one another."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
