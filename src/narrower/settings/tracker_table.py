"""``[search.tracker]``: who is told of the trials besides the run itself."""

from typing import Annotated

from pydantic import PlainValidator

from narrower.settings import checks
from narrower.settings.table import Table, Text
from narrower.store.trackers.catalogue import TRACKERS, WANDB_MODES
from narrower.store.trackers.tracker import TrackerSettings


class TrackerTable(Table):
    """``[search.tracker]``; ``experiment`` is that of MLflow, and the project in Weights & Biases."""

    names: (
        Annotated[tuple[str, ...], PlainValidator(checks.list_of(checks.one_of(tuple(TRACKERS)), "['csv']"))]
        | None
    ) = None
    experiment: Text = "narrower"
    mlflow_uri: Text | None = None
    wandb_mode: Annotated[str, PlainValidator(checks.one_of(WANDB_MODES))] = "offline"

    @property
    def settings(self) -> TrackerSettings:
        """Each name once."""
        names = tuple(dict.fromkeys(self.names or ()))
        return TrackerSettings(names, self.experiment, self.mlflow_uri, self.wandb_mode)
