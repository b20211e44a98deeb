"""Changes that fail alone are found by making many at once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from narrower.transform.suspects import FEW, suspects

NUMBERS = st.integers(0, 99)


@given(
    count=st.integers(1, 100),
    broken=st.sets(NUMBERS, max_size=6),
    needs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6),
    opposed=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3),
)
def test_what_fails_alone_is_left(
    count: int, broken: set[int], needs: list[tuple[int, int]], opposed: list[tuple[int, int]]
) -> None:
    """A change fails alone when it is broken or needs another; some fail in company only."""

    def works(chosen: Sequence[int]) -> bool:
        made = set(chosen)
        return (
            made.isdisjoint(broken)
            and all(a not in made or b in made for a, b in needs if a < count and b < count)
            and not any({a, b} <= made for a, b in opposed if a != b)
        )

    left = suspects(range(count), works)
    assert {number for number in range(count) if not works([number])} <= set(left)
    assert left == sorted(left)


def test_few_tries_are_enough_where_all_work() -> None:
    tries: list[int] = []

    def works(chosen: Sequence[int]) -> bool:
        tries.append(len(chosen))
        return True

    assert suspects(range(100), works) == []
    assert len(tries) <= 1 + 2 * 7
    assert suspects(range(FEW), works) == [*range(FEW)]
