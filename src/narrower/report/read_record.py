"""Read the record of a search back from ``front.json``, and refuse what is none."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from narrower.errors import RunError, UnknownNameError
from narrower.report.record import Member, RunRecord
from narrower.report.task_keys import without_task_keys
from narrower.searching.objective import Constraint, Objective
from narrower.store.run_directory import RunDirectory

COSTS_OF_FLOAT32 = ("macs", "flops", "bitops", "model_size")  # what every record says
NO_RECORD = "not the record of a search, or a damaged one"


@dataclass(frozen=True)
class Kernel:
    """Where one rounded layer is computed."""

    layer: str
    data_bits: int
    weight_bits: int
    kernel: str | None


@dataclass(frozen=True)
class Latency:
    """What is shown of a measured latency."""

    batch_size: int
    threads: int
    ratio: float
    kernels: list[Kernel]


def read_record(run: RunDirectory) -> RunRecord:
    """Read the record of a finished (or interrupted) search.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    run.require()
    if not os.path.lexists(run.front):
        raise RunError(
            f"{run.path}: the search has not ended; resume it: narrower search --resume {run.path}"
        )
    if not run.front.is_file():  # reading a pipe would wait for ever
        raise RunError(f"{run.front}: is no regular file")
    try:
        value = json.loads(run.front.read_bytes())
        if isinstance(value, dict):
            value.pop("completeness", None)  # words that follow from the numbers
            value = without_task_keys(value)
        record = TypeAdapter(RunRecord).validate_json(json.dumps(value))
        _check_entries(record)
    except OSError as error:
        raise RunError(f"{run.front}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{run.front}: {NO_RECORD}: {where}: {first['msg']}") from error
    except (UnknownNameError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{run.front}: {NO_RECORD}: {error}") from error
    return record


def _check_entries(record: RunRecord) -> None:
    """Check what the types leave open.

    Raises:
        ValueError: an entry is missing or has another form.
    """
    _check_all(Objective, record.objectives, "objectives")
    _check_all(Constraint, record.constraints or (), "constraints")
    if record.outputs < 1 or record.samples < 1:
        raise ValueError(f"outputs {record.outputs}, samples {record.samples}: expected 1 or more")
    metric = record.metric.name
    named = [objective["metric"] for objective in record.objectives]
    if not named:
        raise ValueError("objectives: there is none")
    _check_names(record.float32, (metric, f"test_{metric}", *COSTS_OF_FLOAT32), "float32")
    for member in record.members:
        where = f"members: number {member.number}"
        _check_names(member.metrics, (metric, *named), f"{where}: metrics")
        if member.weights not in (None, f"models/trial-{member.number}.safetensors"):
            raise ValueError(f"{where}: weights: found {member.weights!r}")
        _check_latency(member, where)


def _check_all(kind: type, entries: tuple[dict[str, Any], ...], where: str) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    for entry in entries:
        if unknown := set(entry) - set(kind.__slots__):  # type: ignore[attr-defined]
            raise ValueError(f"{where}: unknown key {min(unknown)!r}")
        adapter.validate_python(entry)


def _check_latency(member: Member, where: str) -> None:
    if member.latency is not None:
        try:
            TypeAdapter(Latency).validate_python(dict(member.latency))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{where}: latency: {first['loc']}: {first['msg']}") from error


def _check_names(values: Mapping[str, float], names: tuple[str, ...] | list[str], where: str) -> None:
    missing = [name for name in names if name not in values]
    if missing:
        raise ValueError(f"{where}: {', '.join(missing)} missing")
