"""A search as a run of Weights & Biases, offline unless something else is asked for."""

from collections.abc import Sequence
from typing import Any

from narrower.store.trackers.tracker import TrackedEnd, TrackedSearch, TrackedTrial, TrackerSettings


class WeightsAndBiases:
    """Logs metrics with the number of the trial as the step; ``wandb sync`` sends what lies offline."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings

    def begin(self, search: TrackedSearch) -> int:
        """Begin a run, or go on with it, in the directory of the search."""
        import wandb

        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=self._settings.experiment,
            name=search.name,
            id=search.identity,
            resume="allow",
            dir=str(search.directory),
            mode=self._settings.wandb_mode,
            config=dict(search.settings),
            settings=wandb.Settings(silent=True, console="off", x_disable_meta=True, x_disable_stats=True),
        )
        return search.told

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Log the metrics of those that have some."""
        for trial in trials:
            self._run.log(dict(trial.metrics), step=trial.number)

    def end(self, end: TrackedEnd) -> None:
        """Log the front as a table and the figures as the summary."""
        columns = list(dict.fromkeys(name for m in end.members for name in (*m.metrics, *m.plan)))
        rows = [
            [member.number, *({**member.metrics, **member.plan}.get(name) for name in columns)]
            for member in end.members
        ]
        self._run.summary.update({f"search/{name}": value for name, value in end.figures.items()})
        self._run.summary["front"] = self._wandb.Table(columns=["number", *columns], data=rows)
        self._run.finish()
