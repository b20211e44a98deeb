"""Dominance and hypervolume, against the definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import narrower.searching.front
from narrower.searching.front import Front, dominates, front_indices, hypervolume

LOSSES = st.integers(1, 4).flatmap(
    lambda columns: arrays(float, st.tuples(st.integers(1, 30), st.just(columns)), elements=st.integers(0, 5))
)


@given(LOSSES)
def test_the_front_is_what_nothing_dominates_and_of_equals_the_first(losses: np.ndarray) -> None:
    expected = [
        i
        for i, row in enumerate(losses)
        if not any(dominates(other, row) for other in losses) and not (losses[:i] == row).all(axis=1).any()
    ]
    assert front_indices(losses).tolist() == expected


@pytest.mark.parametrize("few", [1, 4])
@given(losses=LOSSES)
def test_many_rows_are_divided_and_conquered(few: int, losses: np.ndarray) -> None:
    whole = front_indices(losses).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrower.searching.front, "FEW", few)  # as many rows would be
        assert front_indices(losses).tolist() == whole
        front = Front(losses.shape[1])
        for start in range(0, len(losses), 7):
            rows = losses[start : start + 7]
            front.add(rows, np.arange(start, start + len(rows)))
        assert sorted(front.numbers.tolist()) == whole
        for number in front.numbers.tolist():
            assert front.equals[number] == int((losses == losses[number]).all(axis=1).sum()) - 1


@given(LOSSES)
def test_hypervolume_counts_the_unit_cells_that_are_dominated(losses: np.ndarray) -> None:
    reference = np.full(losses.shape[1], 4.0)
    cells = np.stack(np.meshgrid(*[np.arange(4)] * losses.shape[1], indexing="ij"), -1)
    corners = cells.reshape(-1, losses.shape[1])
    dominated = sum(bool((losses <= corner).all(axis=1).any()) for corner in corners)
    assert hypervolume(losses, reference) == pytest.approx(dominated)


@given(LOSSES)
def test_a_front_that_grows_is_the_front_of_all(losses: np.ndarray) -> None:
    front = Front(losses.shape[1])
    for start in range(0, len(losses), 7):
        rows = losses[start : start + 7]
        front.add(rows, np.arange(start, start + len(rows)))
    assert sorted(front.numbers.tolist()) == front_indices(losses).tolist()
    for number in front.numbers.tolist():
        same = int((losses == losses[number]).all(axis=1).sum())
        assert front.equals[number] == same - 1
