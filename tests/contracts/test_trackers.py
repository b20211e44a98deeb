"""What every tracker holds to: it is told of each trial once, also of a search that goes on."""

import csv
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import narrower
from narrower.store.run_directory import RunDirectory
from narrower.store.trackers.catalogue import TRACKERS, build_trackers
from narrower.store.trackers.tracker import (
    TrackedEnd,
    TrackedSearch,
    TrackedTrial,
    Tracker,
    TrackerSettings,
)
from narrower.store.trials import TrialStore
from narrower.study.tracked import Followers, Telling

SPACE = {"seq_blocks.2": {"data": [4, 8], "weight": [2, 4, 8], "bias": [4, 8]}}
TRIALS = 12
BLOCK = 32 * 1024
Told = dict[int, dict[str, float]]  # metrics of each trial that a tracker was told of


class Toy:
    """A tracker that only remembers."""

    def __init__(self) -> None:
        self.told: Told = {}
        self.search: TrackedSearch | None = None
        self.how_it_ended: TrackedEnd | None = None

    def begin(self, search: TrackedSearch) -> int:
        self.search = search
        return search.told

    def trials(self, trials: list[TrackedTrial]) -> None:
        assert not set(self.told) & {trial.number for trial in trials}
        self.told |= {trial.number: dict(trial.metrics) for trial in trials}

    def end(self, end: TrackedEnd) -> None:
        self.how_it_ended = end


def searched(run: Path, trackers: Any = (), **more: Any) -> Any:
    options: dict[str, Any] = {"samples": 200, "directory": run, "trackers": trackers, **more}
    return narrower.search("jsc-toy", "jets", SPACE, ["accuracy", "bitops"], **options)


def recorded(run: Path) -> Told:
    """What the run itself says."""
    with TrialStore.open(RunDirectory(run).trials, read_only=True) as store:
        return {trial.number: trial.metrics for trial in store.trials()}


def read_csv(run: Path) -> Told:
    with (run / "logs" / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["number"] for row in rows}) == len(rows)
    names = set().union(*recorded(run).values())
    return {int(row["number"]): {n: float(row[n]) for n in names if row[n]} for row in rows}


def read_json_lines(run: Path) -> Told:
    lines = [json.loads(line) for line in (run / "logs" / "trials.jsonl").read_text().splitlines()]
    assert len({line["number"] for line in lines}) == len(lines)
    return {line["number"]: line["metrics"] for line in lines}


def read_tensorboard(run: Path) -> Told:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "logs" / "tensorboard" / "search")).Reload()
    told: Told = {}
    for tag in found.Tags()["scalars"]:
        for event in found.Scalars(tag):
            if not tag.startswith("front/"):
                told.setdefault(event.step, {})[tag] = event.value
    return told


def read_mlflow(run: Path) -> Told:
    from mlflow import MlflowClient

    client: Any = MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")
    (kept,) = [found for found in client.search_runs(["1"]) if "mlflow.parentRunId" not in found.data.tags]
    told: Told = {}
    for name in kept.data.metrics:
        for metric in client.get_metric_history(kept.info.run_id, name):
            if not name.startswith("search/"):
                told.setdefault(metric.step, {})[name] = metric.value
    return told


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of a file as LevelDB writes its log: blocks of 32 KiB, parts with crc, length and kind."""
    position, record = 7, b""  # after the mark of the file
    while position + 7 <= len(content):
        length, kind = struct.unpack_from("<HB", content, position + 4)
        if kind == 0 or BLOCK - position % BLOCK < 7:  # what is left of a block is padding
            position += BLOCK - position % BLOCK
            continue
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def read_wandb(run: Path) -> Told:
    from wandb.proto import wandb_internal_pb2

    told: Told = {}
    for file in (run / "wandb").glob("offline-run-*/*.wandb"):
        for content in wandb_records(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "history":
                items = {
                    i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item
                }
                told[items["_step"]] = {k: v for k, v in items.items() if not k.startswith("_")}
    return told


READERS: dict[str, Callable[[Path], Told]] = {
    "csv": read_csv,
    "jsonl": read_json_lines,
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow,
    "wandb": read_wandb,
}


def same(told: Told, wanted: Told) -> bool:
    """Whether the same was told, to what single precision holds."""
    return told.keys() == wanted.keys() and all(
        told[number] == pytest.approx(wanted[number], rel=1e-6) for number in wanted
    )


def test_every_tracker_has_a_reader_here() -> None:
    assert READERS.keys() == TRACKERS.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", [*TRACKERS, "toy"])
def test_it_is_told_of_every_trial_once_also_when_the_search_goes_on(name: str, tmp_path: Path) -> None:
    if name in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(name)
    run, toy = tmp_path / "run", Toy()
    settings = TrackerSettings((name,), mlflow_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    first = [toy] if name == "toy" else settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SILENT", "true")
        searched(run, first)
        told = (lambda _: toy.told) if name == "toy" else READERS[name]
        wanted = recorded(run)
        assert len(wanted) == TRIALS
        assert same(told(run), wanted)
        _goes_on(run, {name: toy} if name == "toy" else build_trackers(settings))
        wanted = recorded(run)
        assert len(wanted) == TRIALS + 2
        assert same(told(run), wanted)


def _goes_on(run: Path, trackers: dict[str, Tracker]) -> None:
    """Two trials that no tracker was told of before a kill, and one more afterwards."""
    with TrialStore.open(RunDirectory(run).trials) as store:
        first = next(store.trials())
        values = tuple(first.metrics.get(name) for name in store.metrics)
        store.append([(TRIALS, 0, "complete", None, 0.1, 1.0, values)])
        telling = Telling(Followers(trackers), RunDirectory(run), store, pytest.fail)
        telling.begin()
        store.append([(TRIALS + 1, 1, "complete", None, 0.1, 2.0, values)])
        for tracker in trackers.values():
            tracker.end(TrackedEnd({}, []))


def test_a_tracker_learns_settings_plans_and_the_front(tmp_path: Path) -> None:
    toy = Toy()
    found = searched(tmp_path / "run", [toy])
    assert toy.search is not None
    assert toy.search.name == "run"
    assert toy.search.settings["model"] == "jsc-toy"
    assert toy.how_it_ended is not None
    assert [m.number for m in toy.how_it_ended.members] == [m.number for m in found.record.members]
    best = found.best()
    (same_one,) = [m for m in toy.how_it_ended.members if m.number == best.number]
    assert same_one.metrics["test_accuracy"] == best.test_value
    assert same_one.plan["seq_blocks.2.weight"] == best.plan["seq_blocks.2"]["weight"]
    assert toy.how_it_ended.figures["trials"] == TRIALS


def test_a_tracker_that_fails_is_left_out_and_the_search_goes_on(tmp_path: Path) -> None:
    class Fails(Toy):
        def trials(self, trials: list[TrackedTrial]) -> None:
            raise ConnectionError("no answer from the server")

    fails, works = Fails(), Toy()
    with pytest.warns(UserWarning, match="'Fails 1' failed, and is told no more: ConnectionError: no answer"):
        searched(tmp_path / "run", [fails, works])
    assert len(works.told) == TRIALS
    assert fails.how_it_ended is None


def test_a_tracker_that_cannot_begin_ends_the_search_before_the_first_trial(tmp_path: Path) -> None:
    class Never(Toy):
        def begin(self, search: TrackedSearch) -> int:
            raise OSError("address already in use")

    with pytest.raises(
        narrower.NarrowerError, match="'Never 1' cannot begin: OSError: address already in use"
    ):
        searched(tmp_path / "run", [Never()])
    assert recorded(tmp_path / "run") == {}


def test_a_name_that_no_tracker_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(narrower.NarrowerError, match=r"unknown tracker 'jsonn'.*jsonl"):
        searched(tmp_path / "run", ["jsonn"])
    assert not (tmp_path / "run").exists()


def test_callbacks_see_every_trial_and_one_of_them_ends_the_search(tmp_path: Path) -> None:
    seen: list[int] = []

    def enough(trial: narrower.TrackedTrial) -> None:
        seen.append(trial.number)
        assert set(trial.plan) == {"seq_blocks.2.data", "seq_blocks.2.weight", "seq_blocks.2.bias"}
        if trial.number == 3:
            raise narrower.StopSearch

    found = searched(tmp_path / "run", callbacks=[enough], batch=2)
    assert seen == [0, 1, 2, 3]
    assert found.record.summary.stopped == "callback"
    assert found.record.summary.trials == 4
    assert {member.number for member in found.record.members} <= set(seen)


def test_what_a_callback_raises_is_not_swallowed(tmp_path: Path) -> None:
    def wrong(_: narrower.TrackedTrial) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        searched(tmp_path / "run", callbacks=[wrong])
