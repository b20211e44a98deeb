"""Every layer at each format of the space first, then what a sampler proposes."""

from collections.abc import Sequence

from narrower.searching.samplers.order import ascending, uniforms
from narrower.searching.samplers.sampler import Losses, Sampler
from narrower.searching.space import Choice, Options, Space

KIND = ".name"  # how the choice of a kind of format ends


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
    """All layers at each kind of format, with the options of every choice as far up their values.

    From the largest widths to the smallest. Kinds that not all layers can have are left out; where nothing is
    a choice of kinds, these are the uniform plans of all choices.
    """
    kinds = [choice for choice in space.choices if choice.name.endswith(KIND)]
    shared = [kind for kind in kinds[0].values if all(kind in c.values for c in kinds)] if kinds else []
    if len(shared) <= 1 and all(len(choice.values) == 1 for choice in kinds):
        return uniforms(space)
    levels = max((len(choice.values) for choice in space.choices if choice not in kinds), default=1)
    shares = [level / max(1, levels - 1) for level in reversed(range(levels))]
    plans = [space.options_of(_positions(space.choices, kind, share)) for kind in shared for share in shares]
    return list(dict.fromkeys(plans))


def _positions(choices: Sequence[Choice], kind: object, share: float) -> list[int]:
    """For each choice the position of the kind, or of the value so far up."""
    found = []
    for choice in choices:
        if choice.name.endswith(KIND):
            found.append(choice.values.index(kind))
        else:
            rank = ascending(choice.values)
            found.append(rank[round(share * (len(rank) - 1))])
    return found
