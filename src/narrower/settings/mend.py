"""Take the mistakes out of a settings file, so that the rest of it can be checked too."""

from typing import Any

from pydantic import ValidationError

from narrower.settings.explain import Key, place_of
from narrower.settings.schema import RunSettings, validated
from narrower.tasks.catalogue import task_metrics

MOST_ROUNDS = 20
# What stands in where something that is needed is missing or wrong. Nothing that it leads to is ever said.
STAND_INS: dict[str, Any] = {
    "model": "jsc-tiny",
    "dataset": "jets",
    "name": "quantize",
    "sampler": "brute_force",
    "metrics": {next(iter(task_metrics())): {}},
}


def mended(tables: dict[str, Any]) -> tuple[RunSettings | None, tuple[Key, ...]]:
    """Settings without what is wrong, and the places where something was; ``tables`` are changed.

    None where that does not help.
    """
    wrong: dict[Key, None] = {}
    for _ in range(MOST_ROUNDS):
        try:
            return validated(tables), tuple(wrong)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                place = place_of(problem)
                wrong[_affected(place, problem["type"])] = None
                if problem["type"] == "missing":
                    _put(tables, place)
                else:
                    _drop(tables, place)
    return None, tuple(wrong)


def _affected(place: Key, kind: str) -> Key:
    """A key that is not known may have been meant for any other key of the same table."""
    is_in_table = kind == "extra_forbidden" and len(place) > 1
    return place[:-1] if is_in_table else place


def _put(tables: dict[str, Any], place: Key) -> None:
    holder = _holder(tables, place)
    if holder is not None:
        holder[place[-1]] = STAND_INS.get(place[-1], {})


def _drop(tables: dict[str, Any], place: Key) -> None:
    """Take out a value; of a place inside a value, the whole value."""
    while place:
        holder = _holder(tables, place)
        if holder is not None and place[-1] in holder:
            del holder[place[-1]]
            return
        place = place[:-1]


def _holder(tables: dict[str, Any], place: Key) -> dict[str, Any] | None:
    holder: Any = tables
    for part in place[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None
