"""The keys of the settings file that say what of a file is what, and what its samples are for."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

from pydantic import PlainValidator

from narrower.data.catalogue import named_request
from narrower.data.request import CHOICES, DataRequest, data_request
from narrower.errors import NarrowerError
from narrower.settings import checks
from narrower.settings.table import Table, Text, given_keys
from narrower.tasks.catalogue import TASKS, is_own_task

ANY_TASK = "cls"  # of MASE/chop's files: what the targets are decides


@checks.allows({"anyOf": [checks.TEXT, {"type": "array", "minItems": 1, "items": checks.TEXT}]})
def _columns(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (checks.text(value),)
    return checks.list_of(checks.text, "'price', or ['price', 'rent']")(value)


def _numbers(example: str) -> Callable[[Any], tuple[float, ...]]:
    """A check for several numbers, of which some may be equal; the request says which they may be."""

    @checks.allows({"type": "array", "items": {"type": "number"}})
    def check(value: Any) -> tuple[float, ...]:
        is_list = isinstance(value, list | tuple) and all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in value
        )
        if not is_list:
            raise ValueError(f"found {checks.shown(value)}; allowed: numbers, as in {example}")
        return tuple(float(each) for each in value)

    return check


def _choice(key: str) -> PlainValidator:
    return PlainValidator(checks.one_of(CHOICES[key]))


_listed_task = checks.one_of((ANY_TASK, *TASKS, "package.module:name"))


@checks.allows(checks.TEXT)
def _task(value: Any) -> str:
    """A listed task, or the user's own."""
    return checks.text(value) if isinstance(value, str) and is_own_task(value) else _listed_task(value)


class DataKeys(Table):
    """Wishes beside ``dataset``; a file that is named there can carry them as well."""

    target: Annotated[tuple[str, ...], PlainValidator(_columns)] | None = None
    features: Annotated[tuple[str, ...], PlainValidator(_columns)] | None = None
    group: Text | None = None
    time: Text | None = None
    split: Annotated[tuple[float, ...], PlainValidator(_numbers("[0.8, 0.1, 0.1]"))] | None = None
    missing: Annotated[str, _choice("missing")] | None = None
    categories: Annotated[str, _choice("categories")] | None = None
    duplicates: Annotated[str, _choice("duplicates")] | None = None
    standardise: Annotated[str, _choice("standardise")] | None = None
    size: Annotated[tuple[float, ...], PlainValidator(_numbers("[32, 32]"))] | None = None
    loss: Text | None = None
    normal: Text | None = None
    pad: Annotated[int, PlainValidator(checks.whole_number(0))] | None = None
    mask: Annotated[int, PlainValidator(checks.whole_number(0))] | None = None
    max_samples: Annotated[int, PlainValidator(checks.whole_number(1))] | None = None
    task: Annotated[str, PlainValidator(_task)] = ANY_TASK


def own_task_of(dataset: object, task: object) -> str | None:
    """The task of the user's own that is named, beside the data set or in its name; None: it is none."""
    if isinstance(task, str) and task != ANY_TASK:
        return task if is_own_task(task) else None
    if isinstance(dataset, str):
        with suppress(NarrowerError):
            asked = data_request(dataset).task
            return asked if is_own_task(asked) else None
    return None


def request_of(dataset: str, keys: DataKeys) -> DataRequest:
    """What a settings file asks for.

    Raises:
        DataError: wishes contradict each other, or mean nothing for this data set.
    """
    found = {
        key: getattr(keys, key)
        for key in given_keys(keys)
        if key in DataKeys.model_fields and getattr(keys, key) not in (None, ANY_TASK)
    }
    return named_request(data_request(dataset, found).text)
