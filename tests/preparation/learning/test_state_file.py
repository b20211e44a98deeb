"""Trainings that are stopped go on where they were."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from narrower.data.datasets import DataSet
from narrower.errors import CheckpointError
from narrower.preparation.learning import state_file
from narrower.preparation.learning.chain_file import arrays_of
from narrower.preparation.learning.learn import learn_shapes
from narrower.preparation.learning.members import Members
from narrower.preparation.learning.settings import LearnSettings

SETTINGS = LearnSettings(epochs=24, batch_size=256, cycles=3, soft_share=0.0, last_factor=3e-3)
SHAPES = ((16, 6, 5), (16, 4, 5))


class StoppedError(Exception):
    pass


@pytest.fixture(autouse=True)
def _saves_after_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "EVERY_SECONDS", 0.0)


def front(
    jets: DataSet,
    keep: Path | None,
    settings: LearnSettings,
    shapes: Sequence[Sequence[int]] = SHAPES,
    stop: int | None = None,
) -> list[object]:
    def progress(epoch: int, _members: Members) -> None:
        if epoch == stop:
            raise StoppedError

    train, validation = jets.train.first(2000), jets.validation.first(1000)
    learned = learn_shapes(shapes, train, validation, settings, progress, keep)
    return [
        (m.cost, m.quality, m.epoch, m.candidate, {n: a.tolist() for n, a in arrays_of(m.network).items()})
        for m in learned.members
    ]


@pytest.mark.parametrize(("granularity", "shapes"), [("weight", SHAPES), ("channel", SHAPES[:1])])
def test_what_is_stopped_and_goes_on_ends_as_what_was_not_stopped(
    jets: DataSet, tmp_path: Path, granularity: str, shapes: Sequence[Sequence[int]]
) -> None:
    settings = replace(SETTINGS, weight_granularity=granularity)  # type: ignore[arg-type]
    whole = front(jets, None, settings, shapes)
    assert len(whole) > 1
    for stop in (0, 9, 17, 23):  # the last one before bits are cut
        with pytest.raises(StoppedError):
            front(jets, tmp_path, settings, shapes, stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["targets.safetensors", "training.safetensors"]
    assert front(jets, tmp_path, settings, shapes) == whole
    assert front(jets, tmp_path, settings, shapes) == whole  # it has ended: nothing is trained


def test_another_training_and_a_damaged_file_are_refused(jets: DataSet, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        front(jets, tmp_path, SETTINGS, stop=3)
    with pytest.raises(CheckpointError, match="other settings or data"):
        front(jets, tmp_path, replace(SETTINGS, learning_rate=1e-3))
    path = tmp_path / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="cannot be read as the state of a training"):
        front(jets, tmp_path, SETTINGS)
