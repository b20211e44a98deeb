"""What is known of the data that a format is to hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownData:
    """The ends of the range, the mean magnitude, and that of the values above 3/4 of it (Li et al. 2016)."""

    low: float = -1.0
    high: float = 1.0
    mean_magnitude: float = 0.5
    mean_above: float = 0.75
