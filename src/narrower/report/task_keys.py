"""How a record calls in its file what depends on the task: for classification ``test_accuracy``, ..."""

from collections.abc import Mapping
from typing import Any

from narrower.tasks.catalogue import TASKS
from narrower.tasks.described import DescribedTask, described_task, metric_notes

FIRST = next(iter(TASKS))  # not written: records of earlier versions know no other task


def with_task_keys(record: Mapping[str, Any], task: str) -> dict[str, Any]:
    """A record in the form of its file."""
    of_record, of_member, of_summary = _keys(described_task(task, metric_notes(record)))
    found = _renamed(record, of_record)
    found["members"] = [_renamed(member, of_member) for member in found["members"]]
    found["summary"] = _renamed(found["summary"], of_summary)
    if task == FIRST:
        del found["task"]
    if found["task_metrics"] is None:
        del found["task_metrics"]
    return found


def without_task_keys(held: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record from its file.

    Raises:
        UnknownNameError: there is no such task.
        ValueError: it has another form.
    """
    task = described_task(str(held.get("task", FIRST)), metric_notes(held))
    of_record, of_member, of_summary = ({new: old for old, new in keys.items()} for keys in _keys(task))
    found = _renamed(held, of_record)
    members, summary = found.get("members"), found.get("summary")
    if isinstance(members, list):
        found["members"] = [_renamed(m, of_member) if isinstance(m, Mapping) else m for m in members]
    if isinstance(summary, Mapping):
        found["summary"] = _renamed(summary, of_summary)
    return found


def _keys(task: DescribedTask) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """What fields of the record, of members and of the summary are called."""
    words, metric = task.words, task.metrics[0].name
    return (
        {"outputs": words.outputs, "output_names": words.names_key},
        {"interval": f"{metric}_interval", "test_value": f"test_{metric}", "alone_value": f"alone_{metric}"},
        {"loss_rank_correlation": f"loss_{metric}_rank_correlation"},
    )


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
