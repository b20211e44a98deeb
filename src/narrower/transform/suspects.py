"""Which of many changes may fail on their own, found by making many at once and halving where that fails."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Change = TypeVar("Change")
FEW = 4  # changes that are sooner made one by one


def suspects(changes: Sequence[Change], works: Callable[[Sequence[Change]], bool]) -> list[Change]:
    """The changes that are left to be made alone; each other one worked in company, without any that is left.

    It worked with all that are not left, and for each other change in some company without it. So a change
    that needs another one is left. There are about twice as many tries as the count has binary digits, and
    some for each change that fails.
    """
    if len(changes) <= FEW:
        return list(changes)
    left = set(_failing(range(len(changes)), lambda chosen: works([changes[number] for number in chosen])))
    for digit in range(len(changes).bit_length()):
        for value in (0, 1):
            chosen = [n for n in range(len(changes)) if n not in left and (n >> digit) & 1 == value]
            left |= set(_failing(chosen, lambda some: works([changes[number] for number in some])))
    return [change for number, change in enumerate(changes) if number in left]


def _failing(numbers: Sequence[int], works: Callable[[Sequence[int]], bool]) -> list[int]:
    """Those in the smallest parts of some changes that do not work, by halves."""
    if not numbers or works(numbers):
        return []
    if len(numbers) <= FEW:
        return list(numbers)
    half = len(numbers) // 2
    found = [*_failing(numbers[:half], works), *_failing(numbers[half:], works)]
    return found or list(numbers)  # each half works without the other
