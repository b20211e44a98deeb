"""Settings of calibration: by which rule the range of data is chosen that a format is to hold."""

from dataclasses import dataclass

from narrower.plan.formats.fields import Word

METHODS = Word("calibration", ("max", "percentile", "mse", "cross_entropy"))
# How weights are changed for the formats of a plan, on training samples, in this order.
ADJUSTMENTS = {
    "rounding": "AdaRound: weights rounded up or down, so that each product changes least",
    "biases": "biases moved, so that channels keep their means",
    "norms": "batch norms with the statistics of the rounded network",
}
ADJUSTED_ON = 512  # samples
LEAST_PERCENTILE, MOST_PERCENTILE = 50.0, 100.0


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """``method``: what all values hold, the middle ``percentile`` of them, what loses least by the squared
    error of the values, or by the cross-entropy of the network's outputs with those of float32.

    Without a method, fractions lose least and scales of affine data hold all values. ``samples`` of the
    training part are looked at.
    """

    method: str | None = None
    percentile: float = 99.99
    samples: int = 1024


USUAL = CalibrationSettings()
