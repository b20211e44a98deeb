"""Which rows train, validate and test: at random, class by class, group by group, or in the order of time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from narrower.data.splitting import TEST_SHARE, VALIDATION_SHARE, Indices
from narrower.errors import DataError

USUAL = (1 - VALIDATION_SHARE - TEST_SHARE, VALIDATION_SHARE, TEST_SHARE)
Numbers = NDArray[np.int64]
Parted = tuple[Indices, Indices, Indices]


def parted(
    count: int,
    seed: int,
    shares: Sequence[float] = (),
    *,
    classes: Numbers | None = None,
    groups: Numbers | None = None,
    times: NDArray[np.float64] | None = None,
) -> Parted:
    """The rows of training, validation and test.

    With ``classes`` each has its share in each part; rows of one of the ``groups`` lie in one part; with
    ``times`` training lies before validation, and validation before test.

    Raises:
        DataError: a part would be empty.
    """
    wanted = tuple(shares) or USUAL
    if times is not None:
        found = _by_time(times, wanted)
    elif groups is not None:
        found = _by_group(groups, wanted, seed)
    else:
        found = _by_class(np.zeros(count, dtype=np.int64) if classes is None else classes, wanted, seed)
    if min(len(part) for part in found) == 0:
        what = "groups" if groups is not None else "samples"
        many = count if groups is None else len(np.unique(groups))
        raise DataError(f"{many:,} {what}: too few for a training, a validation and a test part")
    return found


def _shuffled(count: int, seed: int) -> Indices:
    # Raw output of a bit generator is the only NumPy stream that is promised never to change.
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def _by_class(classes: Numbers, shares: Sequence[float], seed: int) -> Parted:
    order = _shuffled(len(classes), seed)
    parts: tuple[list[Indices], ...] = ([], [], [])
    for number in np.unique(classes):
        own = order[classes[order] == number]
        validation, test = (round(len(own) * share) for share in shares[1:])
        train = max(len(own) - validation - test, 1)
        for part, rows in zip(parts, np.split(own, [train, train + validation]), strict=True):
            part.append(rows)
    # Within a part the classes are mixed again: the first samples of a part stand for all.
    places = np.empty(len(classes), dtype=np.int64)
    places[order] = np.arange(len(order))
    train_rows, validation_rows, test_rows = (np.concatenate(part) for part in parts)
    return tuple(rows[np.argsort(places[rows])] for rows in (train_rows, validation_rows, test_rows))  # type: ignore[return-value]


def _by_group(groups: Numbers, shares: Sequence[float], seed: int) -> Parted:
    """Groups in random order, the next to the part that lacks most; large groups first where they differ."""
    names, own, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = _shuffled(len(names), seed)
    order = order[np.argsort(-sizes[order], kind="stable")]
    wanted = np.array(shares) * len(groups)
    held = np.zeros(3)
    part_of = np.empty(len(names), dtype=np.int64)
    for group in order:
        part = int(np.argmax((wanted - held) / wanted))
        part_of[group] = part
        held[part] += sizes[group]
    rows = _shuffled(len(groups), seed)
    train, validation, test = (rows[part_of[own[rows]] == part] for part in range(3))
    return train, validation, test


def _by_time(times: NDArray[np.float64], shares: Sequence[float]) -> Parted:
    """In the order of time; rows of one moment stay together, in the earlier part."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    ends = []
    for end in np.cumsum(shares)[:2]:
        last = ordered[max(0, round(end * len(order)) - 1)]
        ends.append(int(np.searchsorted(ordered, last, side="right")))
    train, validation, test = np.split(order, ends)
    return train, validation, test
