"""How a model is trained."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Adam with a cosine schedule from ``learning_rate`` to zero."""

    max_epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-2
    seed: int = 0
    accelerator: str = "cpu"
    log_every_n_steps: int = 50
