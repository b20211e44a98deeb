"""A search as a run in MLflow: trials are steps of its metrics, members of the front runs below it."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from narrower.store.trackers.tracker import TrackedEnd, TrackedSearch, TrackedTrial, TrackerSettings

IDENTITY_TAG = "narrower.identity"  # by which a run is found again when the search goes on
MOST_METRICS, MOST_PARAMETERS = 1000, 100  # that MLflow takes at a time
_NO_NAME = re.compile(r"[^/\w.\- ]")


class MlflowServer:
    """Keeps to one run of MLflow for each search, in a database beside the runs unless told otherwise."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings

    def begin(self, search: TrackedSearch) -> int:
        """Find or make the experiment and the run."""
        from mlflow import MlflowClient

        beside = search.directory.resolve().parent
        uri = self._settings.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._client: Any = MlflowClient(uri or f"sqlite:///{beside / 'mlflow.db'}")
        self._experiment = self._experiment_id((beside / "mlartifacts").as_uri() if uri is None else None)
        earlier = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`{IDENTITY_TAG}` = '{search.identity}'", max_results=1
        )
        if earlier:
            self._run = earlier[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return search.told
        self._run = self._new_run(search.name, {IDENTITY_TAG: search.identity})
        self._parameters(self._run, search.settings)
        return 0

    def trials(self, trials: Sequence[TrackedTrial]) -> None:
        """Log the metrics of those that have some."""
        from mlflow.entities import Metric

        now = time.time_ns() // 10**6
        metrics = (
            Metric(_name(name), value, now, trial.number)
            for trial in trials
            for name, value in trial.metrics.items()
        )
        for some in _batches(metrics, MOST_METRICS):
            self._client.log_batch(self._run, metrics=some)

    def end(self, end: TrackedEnd) -> None:
        """Log the front as runs of their own below the first, and keep the files with it."""
        from mlflow.entities import Metric

        now = time.time_ns() // 10**6
        for member in end.members:
            tags = {"mlflow.parentRunId": self._run, "narrower.trial": str(member.number)}
            child = self._new_run(f"trial {member.number}", tags)
            self._parameters(child, member.plan)
            values = [Metric(_name(name), value, now, 0) for name, value in member.metrics.items()]
            self._client.log_batch(child, metrics=values)
            self._client.set_terminated(child)
        figures = [Metric(_name(f"search/{name}"), value, now, 0) for name, value in end.figures.items()]
        self._client.log_batch(self._run, metrics=figures)
        for file in end.files:
            self._client.log_artifact(self._run, str(file))
        self._client.set_terminated(self._run)

    def _experiment_id(self, artefacts: str | None) -> str:
        name = self._settings.experiment
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name, artefacts))

    def _new_run(self, name: str, tags: Mapping[str, str]) -> str:
        made = self._client.create_run(self._experiment, tags={**tags}, run_name=name)
        return str(made.info.run_id)

    def _parameters(self, run: str, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        parameters = (Param(_name(name), str(value)) for name, value in values.items())
        for some in _batches(parameters, MOST_PARAMETERS):
            self._client.log_batch(run, params=some)


def _name(name: str) -> str:
    """A name as MLflow takes it."""
    return _NO_NAME.sub("_", name)


def _batches(values: Iterator[Any], most: int) -> Iterator[list[Any]]:
    while some := list(islice(values, most)):
        yield some
