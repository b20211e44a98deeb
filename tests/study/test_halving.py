"""Which plans go on: the best by rank, those far apart of the last one, and what nothing dominates."""

import pytest

from narrower.study.halving import best_by_rank
from narrower.training.finetuning import Finetuning
from narrower.training.recipe import Recipe

FRONT = [(0.0, 4.0), (1.0, 3.0), (2.0, 2.0), (4.0, 0.0)]
BEHIND = [(1.0, 5.0), (3.0, 3.0), (5.0, 5.0), (6.0, 6.0)]
LOSSES = [*BEHIND[:2], *FRONT, *BEHIND[2:]]  # the front is at places 2 to 5


def test_ranks_are_kept_one_after_the_other() -> None:
    assert best_by_rank(LOSSES, 4) == [2, 3, 4, 5]
    assert best_by_rank(LOSSES, 6) == [0, 1, 2, 3, 4, 5]
    assert best_by_rank(LOSSES, 2) == [2, 5]  # the ends are farthest apart
    assert best_by_rank(LOSSES, 3) == [2, 4, 5]  # (2, 2) has its neighbours farther away than (1, 3)


@pytest.mark.parametrize(("at_most", "kept"), [(0, 2), (2, 2), (3, 3), (4, 4), (7, 4)])
def test_what_nothing_dominates_goes_on_up_to_a_bound(at_most: int, kept: int) -> None:
    found = best_by_rank(LOSSES, 2, at_most)
    assert len(found) == kept
    assert set(found) <= {2, 3, 4, 5}


def test_a_quarter_goes_on_and_half_at_most() -> None:
    how = Finetuning(Recipe(), rounds=3)
    assert [how.survivors(count) for count in (1, 4, 18, 128)] == [(1, 1), (1, 2), (5, 9), (32, 64)]
    assert best_by_rank([], 0, 0) == []
