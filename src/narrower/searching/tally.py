"""What happened in a search besides its trials: counts, times, and why it ended."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What happened besides trials."""

    trials: int = 0
    failed: int = 0
    dominated: int = 0  # plans that were dropped before all samples were seen
    saved_samples: int = 0  # evaluations of a plan on a sample that this spared
    replayed: int = 0
    repeated: int = 0
    drawn: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    first_failure: str | None = None
    exhausted: bool = False  # whether every admitted plan was tried
    note: str | None = None  # what the sampler has to say of what it proposed
    stopped: str = "complete"  # or "n_trials", "timeout", "interrupted", "callback"
    evaluation_seconds: float = 0.0
