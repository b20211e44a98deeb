"""How widths are learned."""

from dataclasses import dataclass
from typing import Any, Literal

from narrower.errors import SettingsError

WeightGranularity = Literal["tensor", "channel", "weight"]
DataGranularity = Literal["tensor", "element"]
LEARNED_COSTS = ("ebops", "bitops", "model_size", "energy", "average_bitwidth")
MAY_BE_LEFT_OUT = ("first_factor", "last_factor", "target")
LEAST_WIDTH, MOST_WIDTH = 2, 16  # a sign and a bit; sums of wider products are not exact
STEPS, SMALLEST_BATCH = 32, 32  # steps of an epoch, if batches are not too small then
EPOCHS_OF_A_CYCLE = 10  # at least


@dataclass(frozen=True, slots=True)
class LearnSettings:
    """One training that gives a front.

    Adam with cosine restarts: ``cycles`` of equal length, each from ``cycle_factor`` times the rate before;
    widths and fractions learn ``rate_of_bits`` times as fast as weights. The cost does not
    count for the ``warm_share`` of the epochs; then its factor in the loss grows log-linearly from
    ``first_factor`` to ``last_factor``, which unless given follow from the gradients. ``cost`` is
    one of ``LEARNED_COSTS``; with a ``target`` its factor is steered instead, so that it comes to that.
    Networks are scored in the last ``scored_share`` of each cycle. ``soft_share`` of each target is what a
    float network, trained on other samples of the training part, says of the sample; the rest is its class.
    ``candidates`` of each shape are trained at once, with seeds of their own, and share one front.
    No width of a weight, its sign included, or of data is above ``max_width``; where ``allowed`` lists
    widths, all are of that list. At the end bits of the members are taken away one after the other, as far as
    no more than ``last_bits`` of the training samples lose their class by it. ``overflow``: what becomes of
    data larger than any of the training part; logic that wraps is smaller.
    """

    epochs: int = 1000
    batch_size: int = 1024
    learning_rate: float = 5e-3
    rate_of_bits: float = 3.0
    cycles: int = 20
    cycle_factor: float = 0.96
    first_factor: float | None = None
    last_factor: float | None = None
    cost: str = "ebops"
    target: float | None = None
    warm_share: float = 0.04
    scored_share: float = 0.5
    scores_per_cycle: int = 12
    soft_share: float = 1.0
    weight_granularity: WeightGranularity = "weight"
    data_granularity: DataGranularity = "element"
    first_bits: float = 8.0
    first_integer_bits: float = 2.0
    first_data_fraction: float = 6.0
    max_width: int = 16
    allowed: tuple[int, ...] = ()
    last_bits: float = 0.002
    overflow: Literal["saturate", "wrap"] = "saturate"
    candidates: int = 1
    most_members: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "cycles", "scores_per_cycle", "candidates", "most_members"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected a whole number from 1, found {getattr(self, name)}")
        for name in ("learning_rate", "rate_of_bits", "cycle_factor", *MAY_BE_LEFT_OUT):
            value = getattr(self, name)
            if not (value is None and name in MAY_BE_LEFT_OUT) and not 0 < value < float("inf"):
                raise SettingsError(f"{name}: expected a number above 0, found {value}")
        for name in ("warm_share", "scored_share", "soft_share", "last_bits"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name}: expected a share from 0 to 1, found {getattr(self, name)}")
        given = self.first_factor is not None and self.last_factor is not None
        if given and self.last_factor < self.first_factor:  # type: ignore[operator]
            raise SettingsError(
                f"last_factor: expected at least first_factor, {self.first_factor:g}, "
                f"found {self.last_factor:g}"
            )
        if self.cost not in LEARNED_COSTS:
            raise SettingsError(f"cost: found {self.cost!r}; allowed: {', '.join(LEARNED_COSTS)}")
        if not LEAST_WIDTH <= self.max_width <= MOST_WIDTH:
            raise SettingsError(
                f"max_width: expected {LEAST_WIDTH} to {MOST_WIDTH} bits, found {self.max_width}"
            )
        if any(width != 0 and not LEAST_WIDTH <= width <= self.max_width for width in self.allowed):
            raise SettingsError(
                f"allowed: expected 0 and widths from {LEAST_WIDTH} to {self.max_width} bits (max_width), "
                f"found {list(self.allowed)}"
            )
        if self.allowed and not any(self.allowed):
            raise SettingsError("allowed: expected a width above 0; with 0 alone nothing is left")

    @property
    def allowed_bits(self) -> tuple[int, ...]:
        """The widths that weights may have, without the sign; empty where all may be had."""
        return tuple(sorted({max(width - 1, 0) for width in self.allowed}))

    @classmethod
    def suited(cls, epochs: int, samples: int, **others: Any) -> "LearnSettings":
        """Settings for so many epochs over so many samples: small data have smaller batches.

        ``others`` are fields by name.
        """
        usual = cls()
        batch = max(SMALLEST_BATCH, min(usual.batch_size, samples // STEPS))
        cycles = max(1, min(usual.cycles, epochs // EPOCHS_OF_A_CYCLE))
        return cls(**{"epochs": epochs, "batch_size": batch, "cycles": cycles, **others})
