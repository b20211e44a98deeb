"""How a model is trained: one frozen value for a whole model, for candidates, and for members of a front."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from narrower.errors import SettingsError, nearest

OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("cosine", "constant", "cosine_restarts", "linear", "one_cycle", "plateau")


@dataclass(frozen=True, slots=True)
class Recipe:
    """By default Adam with a cosine from ``learning_rate`` to zero, and the weights after the last epoch.

    Samples that choose something while training (``patience``, or the schedule "plateau") are a share
    ``choosing_share`` that is cut from the end of the training part in a seeded order: they teach nothing.

    Attributes:
        max_epochs: passes over the samples that teach.
        batch_size: samples in one step.
        learning_rate: the largest rate.
        seed: of the order of samples, and of what is drawn while training.
        accelerator: cpu, gpu, mps or auto.
        log_every_n_steps: how often the loss of a batch is written to the logs.
        optimizer: adam, adamw, sgd, or muon (matrices by Muon, all else by AdamW).
        momentum: of sgd and muon.
        schedule: how the rate changes with the steps; see ``rates.py``.
        cycles: of cosine_restarts.
        warmup_steps: the rate rises linearly from zero over as many.
        weight_decay: in each step; decoupled from the gradient but for adam and sgd.
        decay_all: whether biases and the numbers of norms decay as well.
        clip_norm: the largest norm of a step's gradient; 0 for none.
        label_smoothing: share of each target that is spread over all classes.
        max_steps: ends the training earlier; 0 for none.
        patience: epochs without a lower loss on the choosing samples until the training ends and the best
            epoch is kept; 0 for none.
        choosing_share: of the training part, where something is chosen.
        average: decay of the average of weights (EMA) that is kept instead of the last; 0 for none.
        distillation: weight of the float model's outputs in the loss, from 0 to 1.
        temperature: that both outputs are divided by there.
        freeze_norms_after: epochs after which batch norms keep their statistics; 0 for never.
    """

    max_epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-2
    seed: int = 0
    accelerator: str = "cpu"
    log_every_n_steps: int = 50
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "cosine"
    cycles: int = 1
    warmup_steps: int = 0
    weight_decay: float = 0.0
    decay_all: bool = True
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    max_steps: int = 0
    patience: int = 0
    choosing_share: float = 0.1
    average: float = 0.0
    distillation: float = 0.0
    temperature: float = 2.0
    freeze_norms_after: int = 0

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", "log_every_n_steps", "cycles"):
            _check(name, getattr(self, name), "a whole number from 1", getattr(self, name) >= 1)
        for name in ("seed", "warmup_steps", "max_steps", "patience", "freeze_norms_after"):
            _check(name, getattr(self, name), "a whole number from 0", getattr(self, name) >= 0)
        for name in ("learning_rate", "temperature"):
            value = getattr(self, name)
            _check(name, value, "a number above 0", isfinite(value) and value > 0)
        for name in ("weight_decay", "clip_norm"):
            value = getattr(self, name)
            _check(name, value, "a number from 0", isfinite(value) and value >= 0)
        for name in ("momentum", "label_smoothing", "average"):
            _check(name, getattr(self, name), "a number from 0, below 1", 0 <= getattr(self, name) < 1)
        _check("distillation", self.distillation, "a number from 0 to 1", 0 <= self.distillation <= 1)
        share = self.choosing_share
        _check("choosing_share", share, "a number above 0, below 1", 0 < share < 1)
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            _check(
                name, value, f"one of {', '.join(allowed)}", value in allowed, nearest(str(value), allowed)
            )

    @property
    def chooses(self) -> bool:
        """Whether samples choose something while training, and so cannot teach."""
        return self.patience > 0 or self.schedule == "plateau"

    @property
    def kept(self) -> str:
        """Which weights a training gives."""
        if self.patience:
            return f"best epoch by the loss on {self.choosing_share:.0%} of the training part, held out"
        return "average of steps" if self.average else "last epoch"


def _check(name: str, value: Any, expected: str, is_right: bool, hint: str = "") -> None:
    if not is_right:
        raise SettingsError(f"{name}: expected {expected}, found {value!r}{hint}")


def seeds_from(first: int, count: int) -> list[int]:
    """The seeds of several repetitions, the given one first."""
    return [first + number for number in range(count)]
