"""Names for values by what they are made from: equal names mean equal values, whichever plan asks."""

from collections.abc import Sequence

from narrower.evaluate.steps import Steps
from narrower.plan.formats.number_format import NumberFormat

MOST_NAMES = 100_000  # known at a time: they take memory, too


class Provenance:
    """Names for the values of a program's kept steps.

    A name stands for the step, the formats chosen between it and the kept steps that it is computed from, and
    the names of those. Nothing is compared but choices: no name is ever derived from the bytes of a tensor.
    """

    def __init__(self, steps: Steps) -> None:
        named = [i for i in range(len(steps.steps)) if i in steps.kept or i == steps.output]
        self._origins = {i: _origins(steps, i) for i in named}
        self._affected = [[i for i in affected if i in self._origins] for affected in steps.affected]
        self._unnamed = [0] * len(steps.steps)
        self._known: dict[tuple[object, ...], int] = {}
        self._last: tuple[Sequence[NumberFormat], list[int]] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is time to forget all names, and with them all values that are held."""
        return len(self._known) > MOST_NAMES

    def forget(self) -> None:
        """Forget all names; the next ones mean something else."""
        self._known.clear()
        self._last = None

    def names(self, formats: Sequence[NumberFormat]) -> list[int]:
        """A name for each step, 0 for those without; ``formats`` has one for each slot."""
        if self._last is None:
            names, stale = self._unnamed.copy(), list(self._origins)
        else:
            before, known = self._last
            changed = [
                slot for slot, pair in enumerate(zip(before, formats, strict=True)) if pair[0] != pair[1]
            ]
            names = known.copy()
            stale = sorted({step for slot in changed for step in self._affected[slot]})
        for step in stale:
            slots, sources = self._origins[step]
            origin = (step, *[formats[slot] for slot in slots], *[names[source] for source in sources])
            names[step] = self._known.setdefault(origin, len(self._known) + 1)
        self._last = formats, names
        return names


def _origins(steps: Steps, index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The slots and the kept steps that a step's value is computed from, seen from that step."""
    slots: set[int] = set()
    sources: set[int] = set()
    seen: set[int] = set()
    waiting = [index]
    while waiting:
        at = waiting.pop()
        if at in seen or at in steps.constants:
            continue
        seen.add(at)
        if at != index and at in steps.kept:
            sources.add(at)
            continue
        own = (steps.steps[at].slot, steps.steps[at].inside)
        slots.update(slot for slot in own if slot is not None)
        waiting.extend(steps.steps[at].inputs)
    return tuple(sorted(slots)), tuple(sorted(sources))
