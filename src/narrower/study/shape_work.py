"""Trainings of different channel widths by the workers of a backend, some seconds at a time."""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from narrower.data.parts import Part
from narrower.errors import RunError
from narrower.evaluate.backends.backend import Workers
from narrower.preparation.learned import Learned
from narrower.preparation.learned_shapes import LearnedShapes, Shape
from narrower.preparation.learned_way import Proposal
from narrower.preparation.preparation import Subject
from narrower.preparation.settings import LearnedShapesSettings
from narrower.store.files import write_bytes, write_text
from narrower.study.learned_trials import LearnedTrials, Row
from narrower.tasks.quality import Quality
from narrower.training.bits import bits_of

LEG_SECONDS = 10.0  # after which a training comes back with its next state
PROBE_SAMPLES = 128  # that each worker learns on first, to compare its bits with those of this process
PROPOSED = "proposed.json"  # beside the files of a training: networks that may not be trials yet

Widths = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ShapeLeg:
    """A training of some widths: it begins, or goes on from its files."""

    widths: Widths
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class ShapeAnswer:
    """The files of a training, and what it proposed before they were written."""

    proposed: tuple[Proposal, ...]
    files: tuple[tuple[str, bytes], ...]
    has_ended: bool


@dataclass(frozen=True, slots=True)
class _Probe:
    widths: Widths


class _PausedError(Exception):
    """A training has taken its time, and has written its state."""


class _Heard:
    """What a training proposes, and when it has written what it goes on from."""

    def __init__(self) -> None:
        self.every: list[Proposal] = []
        self.written = 0  # proposals that are not told again
        self._is_written = False
        self._ends = time.monotonic() + LEG_SECONDS

    def proposed(self, proposal: Proposal) -> None:
        """One more; what it was made of stays here."""
        self.every.append(replace(proposal, state=dict))

    def saving(self) -> None:
        """The state is written now."""
        self.written, self._is_written = len(self.every), True

    def progress(self, _epoch: int, _members: int) -> None:
        """An epoch has passed, and its state was written where it was to be."""
        if self._is_written and time.monotonic() > self._ends:
            raise _PausedError
        self._is_written = False


@dataclass(frozen=True)
class ShapesWork:
    """Learns the number formats of some widths, in any process."""

    settings: LearnedShapesSettings
    subject: Subject
    validation: Part
    layers: tuple[str, ...] = ()
    _known: dict[Widths, Subject] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Nothing is shared."""

    def score(self, tasks: Sequence[Any], loss: bool) -> list[Any]:  # noqa: ARG002 - it trains
        """An answer to each task; None where something went wrong, which the driver is to see itself."""
        return [self._answer(task) for task in tasks]

    def probe(self, tasks: Sequence[ShapeLeg]) -> list[Any]:
        """The first widths, for an epoch of few samples."""
        return [_Probe(tasks[0].widths)]

    def _answer(self, task: ShapeLeg | _Probe) -> Any:
        try:
            return self._bits(task) if isinstance(task, _Probe) else self._leg(task)
        except Exception:
            return None

    def _bits(self, probe: _Probe) -> str:
        data = self.subject.data
        few = replace(data, train=data.train.first(PROBE_SAMPLES))
        shapes = LearnedShapes(replace(self.subject, data=few), replace(self.settings, epochs=1))
        found: list[Proposal] = []
        shapes.shape(dict(probe.widths)).learned.learn(self.validation.first(PROBE_SAMPLES), found.append)
        return bits_of(proposal.state() for proposal in found)

    def _leg(self, leg: ShapeLeg) -> ShapeAnswer:
        if leg.widths not in self._known:
            self._known.clear()  # a worker goes on with what it began
            self._known[leg.widths] = (
                LearnedShapes(self.subject, self.settings).shape(dict(leg.widths)).subject
            )
        learned = Learned(self._known[leg.widths], self.settings)
        heard, has_ended = _Heard(), True
        with tempfile.TemporaryDirectory() as name:
            keep = Path(name)
            for file, content in leg.files:
                write_bytes(keep / file, content)
            try:
                learned.learn(self.validation, heard.proposed, heard.progress, keep, heard.saving)
            except _PausedError:
                has_ended = False
            files = tuple(_files(keep))
        proposed = heard.every if has_ended else heard.every[: heard.written]
        return ShapeAnswer(tuple(proposed), files, has_ended)


class ShapesElsewhere:
    """Has trainings done by the workers of a backend; the files that they leave are those of this process."""

    def __init__(self, work: ShapesWork, workers: Workers) -> None:
        self._workers = workers
        workers.start(work)

    @property
    def count(self) -> int:
        """Trainings that are done at a time."""
        return max(1, self._workers.workers())

    def learn(self, shapes: Sequence[Shape], directories: Sequence[Path], book: LearnedTrials) -> None:
        """Train shapes to their ends, each below a directory of its own.

        Raises:
            RunError: workers were lost over one.
        """
        going = list(zip(shapes, directories, strict=True))
        while going:
            legs = [
                ShapeLeg(tuple(shape.widths.items()), tuple(_files(directory))) for shape, directory in going
            ]
            answers = self._workers.score(legs, False)
            for (shape, directory), answer in zip(going, answers, strict=True):
                if isinstance(answer, Quality):
                    raise RunError(
                        f"the training of widths {dict(shape.widths)} came to nothing: {answer.failure}; "
                        "the search can be resumed"
                    )
                if answer is not None:
                    _keep(answer, shape, directory, book)
            going = [
                each
                for each, answer in zip(going, answers, strict=True)
                if answer is not None and not answer.has_ended  # what goes wrong does so in this process
            ]


def proposed_in(directory: Path) -> list[Row]:
    """What workers proposed in the training below a directory."""
    path = directory / PROPOSED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def forget_proposed(directory: Path) -> None:
    """All of it are trials."""
    (directory / PROPOSED).unlink(missing_ok=True)


def _keep(answer: ShapeAnswer, shape: Shape, directory: Path, book: LearnedTrials) -> None:
    """Proposals first: those that are found again are compared, those that are lost would be missing."""
    rows: dict[int, Row] = {row[0]: row for row in proposed_in(directory)}
    rows |= {proposal.number: book.row(proposal, shape) for proposal in answer.proposed}
    write_text(directory / PROPOSED, json.dumps(list(rows.values())))
    for name, content in answer.files:
        write_bytes(directory / name, content)
    for path in directory.glob("member-*.safetensors"):  # beaten since
        if path.name not in dict(answer.files):
            path.unlink()


def _files(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(directory.glob("*.safetensors")):
        if not path.name.startswith("."):  # a kill left it half written
            yield path.name, path.read_bytes()
