"""Plans are scored in this process, one list after the other."""

from collections.abc import Sequence

from narrower.evaluate.backends.backend import Engine, Say
from narrower.evaluate.backends.settings import BackendSettings
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality


class ThisProcess:
    """No workers."""

    lost = 0

    def __init__(self, _settings: BackendSettings, _say: Say) -> None:
        self._engine: Engine | None = None

    def start(self, engine: Engine) -> None:
        """Score with this engine."""
        self._engine = engine

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The qualities of plans, in their order."""
        assert self._engine is not None, "start comes first"
        return self._engine.score(plans, loss)

    def close(self) -> None:
        """There is nothing to end."""
