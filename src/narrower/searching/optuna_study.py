"""The trials of a run as an Optuna study in an SQLite file."""

import json
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from narrower.errors import OutputError, RunError
from narrower.searching.objective import Constraint, Objectives
from narrower.searching.recorded_space import Feature, RecordedSpace, recorded_space
from narrower.store.files import check_output, replacing
from narrower.store.trial import Trial
from narrower.store.trials import TrialStore

CHUNK = 2000  # trials that are written at a time
# The columns that are filled, table by table. Optuna makes the tables; its own way of adding trials takes
# about 10 ms for each, so they are filled here, many rows at a time.
COLUMNS = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
}
CONSTRAINTS_KEY = "constraints"  # where Optuna's samplers and dashboard look: above zero is not feasible
STATES = {"complete": "COMPLETE", "failed": "FAIL", "dominated": "PRUNED"}

Rows = dict[str, list[tuple[object, ...]]]


def write_study(
    store: TrialStore,
    path: Path,
    name: str,
    objectives: Objectives,
    constraints: Sequence[Constraint] = (),
) -> int:
    """Write all trials of a run into a new file and return their number.

    Every choice of the space is a categorical parameter (bits or multipliers; the text of the format where
    bits do not tell them apart), every objective a value; the other metrics, the number of the plan and the
    reason of a failure are user attributes of the trial. What was dropped as dominated is pruned.

    Raises:
        OutputError: the file exists already or cannot be written.
        RunError: the run lacks what a study needs.
    """
    check_output(path)
    if path.exists():
        raise OutputError(f"{path}: exists already; give the name of a new file")
    facts = store.facts()
    space, began = recorded_space(facts, store.path), _beginning(facts)
    with _explained(path), replacing(path) as partial:
        _create(partial, name, objectives, space)
        with closing(sqlite3.connect(partial)) as connection, connection:
            study_id = _study_id(connection)
            parameters = _parameters(space)
            trials, count = store.trials(), 0
            while chunk := list(islice(trials, CHUNK)):
                rows: Rows = {table: [] for table in COLUMNS}
                options = space.options([trial.plan_index for trial in chunk]).tolist()
                for trial, digits in zip(chunk, options, strict=True):
                    identity = trial.number + 1
                    rows["trials"].append(
                        (identity, trial.number, study_id, STATES[trial.state], *_times(trial, began))
                    )
                    rows["trial_params"] += [
                        (identity, key, feature.level_of[digits[feature.slot]], text)
                        for feature, key, text in parameters
                    ]
                    _add_results(rows, identity, trial, objectives, constraints)
                _insert(connection, rows)
                count += len(chunk)
    return count


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of writing, by itself or through Optuna, into words about the file."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error


def _create(path: Path, name: str, objectives: Objectives, space: RecordedSpace) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        # No connection stays open where the storage cannot be made.
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path.resolve()}", engine_kwargs={"poolclass": NullPool}
        )
        try:
            study = optuna.create_study(storage=storage, study_name=name, directions=_directions(objectives))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(_value_names(objectives))
            study.set_user_attr(
                "formats",
                {
                    feature.name: dict(zip(feature.labels, map(str, feature.levels), strict=True))
                    for feature in space.features
                    if feature.is_chosen
                },
            )
        finally:
            storage.engine.dispose()
    finally:
        optuna.logging.set_verbosity(verbosity)


def _directions(objectives: Objectives) -> list[StudyDirection]:
    directions = [o.direction for o in objectives.each]
    wanted = directions if objectives.sum_direction is None else [objectives.sum_direction]
    return [StudyDirection[direction.upper()] for direction in wanted]


def _value_names(objectives: Objectives) -> list[str]:
    return (
        [o.metric for o in objectives.each] if objectives.sum_direction is None else ["sum of scaled metrics"]
    )


def _beginning(facts: Mapping[str, Any]) -> datetime:
    try:
        created = datetime.fromisoformat(facts["environment"]["created"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError("the run does not say when it began; a study needs that") from error
    return created.astimezone().replace(tzinfo=None)  # Optuna's times are local


def _times(trial: Trial, began: datetime) -> tuple[str, str]:
    finished = began + timedelta(seconds=trial.finished)
    started = finished - timedelta(seconds=trial.seconds)
    return started.isoformat(sep=" ", timespec="microseconds"), finished.isoformat(
        sep=" ", timespec="microseconds"
    )


def _study_id(connection: sqlite3.Connection) -> int:
    """The number of the only study, after a look at the tables."""
    for table, columns in COLUMNS.items():
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if not present.issuperset(columns):
            raise RunError(
                f"Optuna {optuna.__version__} keeps its trials in another form than 5.0 (table {table}): "
                "install optuna>=5.0,<6"
            )
    return int(connection.execute("SELECT study_id FROM studies").fetchone()[0])


def _parameters(space: RecordedSpace) -> list[tuple[Feature, str, str]]:
    return [
        (feature, feature.name, distribution_to_json(CategoricalDistribution(_choices(feature))))
        for feature in space.features
        if feature.is_chosen
    ]


def _choices(feature: Feature) -> list[str | int | float]:
    if feature.labels == tuple(str(level) for level in feature.levels):
        return list(feature.levels)
    return [int(size) if size.is_integer() else size for size in feature.sizes]


def _add_results(
    rows: Rows, identity: int, trial: Trial, objectives: Objectives, constraints: Sequence[Constraint]
) -> None:
    attributes: dict[str, object] = {"plan_index": trial.plan_index, **trial.metrics}
    if trial.reason is not None:
        attributes["fail_reason" if trial.state == "failed" else "prune_reason"] = trial.reason
    if trial.state == "complete":
        rows["trial_values"] += [
            (identity, position, value, "FINITE")
            for position, value in enumerate(_values(trial.metrics, objectives))
        ]
        if constraints:
            violations = [_violation(constraint, trial.metrics) for constraint in constraints]
            rows["trial_system_attributes"].append((identity, CONSTRAINTS_KEY, json.dumps(violations)))
    rows["trial_user_attributes"] += [(identity, key, json.dumps(value)) for key, value in attributes.items()]


def _values(metrics: Mapping[str, float], objectives: Objectives) -> list[float]:
    """What a trial reached, in the direction that the study says."""
    losses = objectives.losses(metrics)
    signs = [1 if direction == StudyDirection.MINIMIZE else -1 for direction in _directions(objectives)]
    return [sign * loss for sign, loss in zip(signs, losses, strict=True)]


def _violation(constraint: Constraint, metrics: Mapping[str, float]) -> float:
    """By how much a metric is outside of its bounds; at most zero where it is not."""
    value = metrics[constraint.metric]
    distances = []
    if constraint.minimum is not None:
        distances.append(constraint.minimum - value)
    if constraint.maximum is not None:
        distances.append(value - constraint.maximum)
    return max(distances)


def _insert(connection: sqlite3.Connection, rows: Rows) -> None:
    for table, columns in COLUMNS.items():
        names, marks = ", ".join(f'"{column}"' for column in columns), ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows[table])
