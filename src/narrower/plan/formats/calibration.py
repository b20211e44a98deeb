"""Settings of calibration: by which rule the range of data is chosen that a format is to hold."""

from dataclasses import dataclass

from narrower.plan.formats.fields import Word

METHODS = Word("calibration", ("max", "percentile", "mse"))
LEAST_PERCENTILE, MOST_PERCENTILE = 50.0, 100.0


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """``method``: what all values hold, the middle ``percentile`` of them, or what loses least.

    Without a method, fractions lose least and scales of affine data hold all values. ``samples`` of the
    training part are looked at.
    """

    method: str | None = None
    percentile: float = 99.99
    samples: int = 1024


USUAL = CalibrationSettings()
