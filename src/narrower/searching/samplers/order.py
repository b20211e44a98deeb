"""Which values of a choice are large, and the plans that are uniform in that."""

from collections.abc import Sequence

from narrower.searching.space import Options, Space, Value


def ascending(values: Sequence[Value]) -> list[int]:
    """The positions of values from the smallest to the largest; texts stay in their order, before numbers."""

    def key(position: int) -> tuple[bool, float]:
        value = values[position]
        return not isinstance(value, str), 0.0 if isinstance(value, str) else float(value)

    return sorted(range(len(values)), key=key)


def uniforms(space: Space) -> list[Options]:
    """The plans whose choices are all as far up their values, from the largest values to the smallest."""
    levels = max((len(choice.values) for choice in space.choices), default=1)
    shares = [level / max(1, levels - 1) for level in reversed(range(levels))]
    return list(dict.fromkeys(uniform(space, share) for share in shares))


def uniform(space: Space, share: float) -> Options:
    """The plan whose choices are all as far up their values: 0 for the smallest, 1 for the largest."""
    ranks = [ascending(choice.values) for choice in space.choices]
    return space.options_of([rank[round(share * (len(rank) - 1))] for rank in ranks])
