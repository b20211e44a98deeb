import numpy as np
import pytest

from narrower.report.hypervolume_curve import hypervolume_curve


def dominated_cells(rows: np.ndarray, reference: int) -> int:
    """The volume of whole-numbered losses, by counting unit cells."""
    axes = [np.arange(reference)] * rows.shape[1]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, rows.shape[1])
    return int((rows[:, None] <= cells[None]).all(axis=2).any(axis=0).sum()) if len(rows) else 0


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_step_equals_the_count_of_dominated_cells(columns: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    losses = chance.integers(0, 10, size=(300, columns)).astype(float)  # some lie beyond the reference, 8
    admitted = chance.random(300) < 0.7
    seconds = np.arange(300) / 10
    curve = hypervolume_curve(losses, admitted, seconds, np.full(columns, 8.0))
    for trials, value, when in zip(curve.trials, curve.values, curve.seconds, strict=True):
        counted = losses[:trials][admitted[:trials]]
        assert value == dominated_cells(counted, 8)
        assert when == (trials - 1) / 10
    # and between the steps it did not grow
    grown = [dominated_cells(losses[:n][admitted[:n]], 8) for n in range(1, 301)]
    assert [n + 1 for n in range(300) if grown[n] > ([0, *grown])[n]] == [
        int(t)
        for t, v, before in zip(curve.trials, curve.values, [0, *curve.values], strict=False)
        if v > before
    ]


def test_the_last_step_is_the_last_trial() -> None:
    losses = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    curve = hypervolume_curve(losses, np.ones(3, dtype=bool), np.arange(3.0), np.array([4.0, 4.0]))
    assert curve.trials.tolist() == [1, 3]
    assert curve.values.tolist() == [9.0, 9.0]
    assert curve.first_at(0.95) == 1


def test_without_an_admitted_trial_there_is_no_share_to_reach() -> None:
    curve = hypervolume_curve(np.ones((2, 2)), np.zeros(2, dtype=bool), np.arange(2.0), np.full(2, 2.0))
    assert curve.values.tolist() == [0.0]
    assert curve.first_at(0.95) is None
    assert curve.shares.tolist() == [0.0]


def test_values_that_are_not_known_add_nothing() -> None:
    losses = np.array([[np.nan, 0.0], [1.0, 1.0]])
    curve = hypervolume_curve(losses, np.ones(2, dtype=bool), np.arange(2.0), np.full(2, 2.0))
    assert curve.trials.tolist() == [2]
    assert curve.values.tolist() == [1.0]
