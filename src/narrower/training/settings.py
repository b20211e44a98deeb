"""How a model is trained."""

from dataclasses import dataclass
from math import isfinite

from narrower.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Adam with a cosine schedule from ``learning_rate`` to zero."""

    max_epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-2
    seed: int = 0
    accelerator: str = "cpu"  # or "auto", "gpu", "mps": what Lightning calls them
    log_every_n_steps: int = 50

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", "log_every_n_steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected a whole number from 1, found {getattr(self, name)}")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingsError(f"learning_rate: expected a number above 0, found {self.learning_rate}")
        if self.seed < 0:
            raise SettingsError(f"seed: expected a whole number from 0, found {self.seed}")
