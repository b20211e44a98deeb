"""Ranges of the numbers that options take; NaN lies in none."""

from collections.abc import Callable
from math import isfinite

import typer

LARGEST_SEED = 2**31 - 1  # every source of chance takes these
MOST = 2**31 - 1  # of anything that is counted: samples, plans, epochs


def number_within(low: float, high: float) -> Callable[[str], float]:
    """A parser for a number from ``low`` to ``high``; NaN is refused, which lies in no range."""

    def number(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (isfinite(value) and low <= value <= high):
            raise typer.BadParameter(f"found {text!r}; allowed: a number from {low:g} to {high:g}")
        return value

    return number
