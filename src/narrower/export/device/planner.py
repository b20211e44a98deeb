"""Where buffers lie in memory: over each other where they are not needed at the same time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from narrower.export.device.numbers import SIZES
from narrower.export.device.source import Buffer, Step

ALIGNMENT = 4
HALF = 2  # bytes


@dataclass(frozen=True)
class Layout:
    """Bytes of two blocks of memory, and where in them each buffer begins.

    Numbers of 16 bits have a block of their own: C allows one memory to be read as words and as bytes, and
    not as words and as halves of words.
    """

    words: int
    halves: int
    offsets: Mapping[int, int]


def plan_memory(buffers: Sequence[Buffer], steps: Sequence[Step]) -> Layout:
    """Lay out the buffers that are not parameters: the largest first, each as low as it fits."""
    lives = {b.position: _life(b.position, steps) for b in buffers if not b.name}
    kept = [b for b in buffers if b.position in lives and lives[b.position] is not None]
    offsets: dict[int, int] = {}
    ends = [0, 0]
    for is_half in (False, True):
        group = [b for b in kept if (SIZES[b.kind] == HALF) is is_half]
        placed: list[Buffer] = []
        for buffer in sorted(group, key=lambda b: (-b.size, b.position)):
            others = [o for o in placed if _overlap(lives[o.position], lives[buffer.position])]
            offsets[buffer.position] = _lowest(buffer, others, offsets)
            placed.append(buffer)
            ends[is_half] = max(ends[is_half], offsets[buffer.position] + _rounded(buffer.size))
    return Layout(ends[0], ends[1], offsets)


def _life(position: int, steps: Sequence[Step]) -> tuple[int, int] | None:
    used = [i for i, step in enumerate(steps) if position in step.reads | step.writes]
    return (used[0], used[-1]) if used else None


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def _lowest(buffer: Buffer, others: Sequence[Buffer], offsets: Mapping[int, int]) -> int:
    at = 0
    for other in sorted(others, key=lambda o: offsets[o.position]):
        if offsets[other.position] >= at + _rounded(buffer.size):
            break
        at = max(at, offsets[other.position] + _rounded(other.size))
    return at


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
