"""Every layer at each format of the space first, then what a sampler proposes."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

from narrower.searching.samplers.order import ascending
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Choice, Options, Space, Value

KIND = ".name"  # how the choice of a kind of format ends
MOST = 128  # uniform plans that are tried, beside those whose widths go up together


class UniformFirst:
    """A sampler that learns from the uniform plans before it is asked; none is proposed twice by streams."""

    def __init__(self, sampler: Sampler, space: Space) -> None:
        self._sampler, self._first = sampler, uniform_plans(space)
        self._streamed = set(self._first) if sampler.never_repeats else set()
        self.never_repeats = sampler.never_repeats
        self.covers_space = sampler.covers_space
        self.default_batch = sampler.default_batch
        self.note: str | None = sampler.note

    def ask(self, count: int) -> Sequence[Options]:
        """The uniform plans; when they are through, proposals of the sampler."""
        if self._first:
            asked, self._first = self._first[:count], self._first[count:]
            return asked
        while proposals := self._sampler.ask(count):
            self.note = self._sampler.note
            fresh = [options for options in proposals if options not in self._streamed]
            if fresh:
                return fresh
        self.note = self._sampler.note
        return []

    def tell(self, options: Options, losses: Losses | None) -> None:
        """Passed on."""
        self._sampler.tell(options, losses)


def uniform_plans(space: Space) -> list[Options]:
    """All layers at each kind of format and each combination of widths and other options.

    First those with every option as far up its values, from the largest widths to the smallest, then all
    others: layers agree in how far up the values of a key they are. Where these are more than ``MOST``, the
    first alone. Kinds that not all layers can have are left out.
    """
    kinds = [choice for choice in space.choices if choice.name.endswith(KIND)]
    shared = [kind for kind in kinds[0].values if all(kind in c.values for c in kinds)] if kinds else []
    others = [choice for choice in space.choices if choice not in kinds]
    if not shared and any(len(choice.values) > 1 for choice in kinds):
        return []
    keys = list(dict.fromkeys(map(_key, others)))
    levels = {key: max(len(choice.values) for choice in others if _key(choice) == key) for key in keys}
    together = [dict.fromkeys(keys, share) for share in _shares(max(levels.values(), default=1))]
    apart: list[dict[str, float]] = []
    if prod(levels.values()) * max(1, len(shared)) <= MOST:
        ways = product(*(_shares(levels[key]) for key in keys))
        apart = [dict(zip(keys, way, strict=True)) for way in ways]
    plans = [
        space.options_of(_positions(space.choices, kind, shares))
        for some in (together, apart)
        for kind in shared or ("",)
        for shares in some
    ]
    return list(dict.fromkeys(plans))


def _key(choice: Choice) -> str:
    """The key of a choice, whatever the layer, such as ``weight_width``."""
    return choice.name.rpartition(".")[2]


def _shares(levels: int) -> list[float]:
    return [level / max(1, levels - 1) for level in reversed(range(levels))]


def _positions(choices: Sequence[Choice], kind: Value, shares: Mapping[str, float]) -> list[int]:
    """For each choice the position of the kind, or of the value that is so far up."""
    found = []
    for choice in choices:
        if choice.name.endswith(KIND):
            found.append(choice.values.index(kind) if kind in choice.values else 0)
        else:
            rank = ascending(choice.values)
            found.append(rank[round(shares[_key(choice)] * (len(rank) - 1))])
    return found
