"""The proxy's front is exact: dynamic programming finds what trying every plan finds."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrower.searching import additive_front as module
from narrower.searching.additive_front import additive_front
from narrower.searching.front import front_indices

Slot = list[tuple[float, int]]
# halves, so that sums are exact and ties happen
SLOTS = st.lists(
    st.lists(st.tuples(st.integers(-8, 8).map(lambda n: n / 2), st.integers(-3, 9)), min_size=1, max_size=4),
    min_size=1,
    max_size=5,
)


def tables(slots: list[Slot]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    losses = [np.array([loss for loss, _ in slot], dtype=np.float64) for slot in slots]
    costs = [np.array([cost for _, cost in slot], dtype=np.int64) for slot in slots]
    return losses, costs


@given(SLOTS)
def test_equals_trying_every_plan(slots: list[Slot]) -> None:
    rows = np.array(
        [(sum(o[1] for o in plan), sum(o[0] for o in plan)) for plan in product(*slots)], dtype=np.float64
    )
    expected = sorted({tuple(rows[i]) for i in front_indices(rows)})
    found = additive_front(*tables(slots))
    assert found.is_exact
    assert list(zip(found.costs.tolist(), found.losses.tolist(), strict=True)) == expected
    for plan, loss, cost in zip(found.plans, found.losses, found.costs, strict=True):
        chosen = [slot[option] for slot, option in zip(slots, plan, strict=True)]
        assert (sum(o[0] for o in chosen), sum(o[1] for o in chosen)) == (loss, cost)


def test_is_complete_over_more_plans_than_can_be_tried() -> None:
    # 60 slots, each gives up 2**slot of loss for 2**slot of cost: every sum of costs is on the front
    slots = [[(0.0, 2**n), (float(2**n), 0)] for n in range(12)]
    slots += [[(0.0, 0), (1.0, 1)] for _ in range(48)]  # the second option never pays
    found = additive_front(*tables(slots))
    assert found.is_exact
    assert found.costs.tolist() == list(range(2**12))
    assert not found.plans[:, 12:].any()


def test_a_front_that_is_too_large_is_thinned_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STATES", 100)
    found = additive_front(*tables([[(0.0, 2**n), (float(2**n), 0)] for n in range(12)]))
    assert not found.is_exact
    assert len(found.costs) <= 101
    assert found.costs[0] == 0
    assert found.losses[-1] == 0
    assert (np.diff(found.losses) < 0).all()
