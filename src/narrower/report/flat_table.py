"""The front, or all trials, as a table: one column for each metric and each layer's format."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from narrower.plan.formats.float32 import FLOAT32
from narrower.report.record import Member, RunRecord
from narrower.searching.recorded_space import ASPECTS, RecordedSpace, recorded_space
from narrower.searching.space_record import PlanTables
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore

Cell = str | int | float | bool | None


def csv_lines(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Rows as lines of CSV; an empty cell is not known."""
    for row in rows:
        text = StringIO()
        csv.writer(text, lineterminator="").writerow(row)
        yield text.getvalue()


def front_rows(record: RunRecord) -> Iterator[list[Cell]]:
    """Rows of the front, the header first; None where something is not known."""
    leading = record.metric.name
    metrics = list(dict.fromkeys(name for member in record.members for name in member.metrics))
    others = list(dict.fromkeys(n for m in record.members for n in (*m.intervals, *m.on_test_intervals)))
    columns = list(
        dict.fromkeys(
            (layer, aspect)
            for member in record.members
            for layer, table in member.plan.items()
            for aspect in ASPECTS
            if aspect in table
        )
    )
    yield (
        [
            "number",
            "plan_index",
            *metrics,
            f"{leading}_low",
            f"{leading}_high",
            f"test_{leading}",
            f"test_{leading}_low",
            f"test_{leading}_high",
            *(
                f"{part}{name}{end}"
                for name in others
                for part, end in (
                    ("", "_low"),
                    ("", "_high"),
                    ("test_", ""),
                    ("test_", "_low"),
                    ("test_", "_high"),
                )
            ),
            "equals",
            "certain",
            *(f"{layer}.{aspect}" for layer, aspect in columns),
        ]
    )
    for member in record.members:
        yield (
            [
                member.number,
                member.plan_index,
                *(member.metrics.get(name) for name in metrics),
                *(member.interval or (None, None)),
                member.test_value,
                *(member.test_interval or (None, None)),
                *(cell for name in others for cell in _measured(member, name)),
                member.equals,
                member.certain,
                *_formats(member.plan, columns),
            ]
        )


def _measured(member: Member, name: str) -> tuple[Cell, ...]:
    """The interval of a metric, and the same metric with its interval on the test part."""
    nothing = (None, None)
    return (
        *member.intervals.get(name, nothing),
        member.on_test.get(name),
        *member.on_test_intervals.get(name, nothing),
    )


def trials_rows(run: RunDirectory) -> Iterator[list[Cell]]:
    """Rows of all trials in their order, failed ones included, the header first; None is not known.

    Raises:
        RunError: they cannot be read.
    """
    run.require()
    with TrialStore.open(run.trials, read_only=True) as store:
        space = recorded_space(store.facts(), run.trials)
        columns = [(layer, f.aspect) for f in space.features for layer in f.layers]
        yield (
            [
                "number",
                "plan_index",
                "state",
                "reason",
                "seconds",
                "finished",
                *store.metrics,
                *(f"{layer}.{aspect}" for layer, aspect in columns),
            ]
        )
        texts = _option_cells(space)
        for trial in store.trials():
            (options,) = space.options([trial.plan_index]).tolist()
            cells: dict[tuple[str, str], Cell] = {}
            for slot, option in enumerate(options):
                cells |= texts[slot][option]
            yield (
                [
                    trial.number,
                    trial.plan_index,
                    trial.state,
                    trial.reason,
                    trial.seconds,
                    trial.finished,
                    *(trial.metrics.get(name) for name in store.metrics),
                    *(cells[column] for column in columns),
                ]
            )


def _option_cells(space: RecordedSpace) -> list[list[dict[tuple[str, str], Cell]]]:
    """For each slot and option, the cells of the columns that the slot decides."""
    return [
        [dict(zip(own, _formats(option, own), strict=True)) for option in slot]
        for slot, own in (
            (slot, [(layer, f.aspect) for f in space.features if f.slot == number for layer in f.layers])
            for number, slot in enumerate(space.slots)
        )
    ]


def _formats(plan: PlanTables, columns: list[tuple[str, str]]) -> list[Cell]:
    """The formats and multipliers of a plan; what it does not name stays as it is."""
    default = {aspect: 1.0 if aspect == "width" else FLOAT32.text for aspect in ASPECTS}
    return [plan.get(layer, {}).get(aspect, default[aspect]) for layer, aspect in columns]
