"""One training of learned widths: its members scored on the test part, written down, and summed up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError, RunError, SettingsError
from narrower.preparation.learning.chain_file import save_chain
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.learn import learn
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.scoring import hits_of
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.training import Progress
from narrower.store.files import write_json
from narrower.store.provenance import environment
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.intervals import wilson_interval
from narrower.tasks.task import leading

RECORD, ASKED, MODELS, STATE = "learned.json", "learning.json", "models", "state"

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LearnedMember:
    """One network of the front.

    ``ebops``: data bits, with the sign where there is one, times the bits that each weight needs. ``weights``
    counts those that are left of ``all_weights``; ``mean_bits`` is their mean width, without signs.
    """

    number: int
    ebops: int
    validation_value: float
    validation_interval: Interval
    test_value: float
    test_interval: Interval
    weights: int
    all_weights: int
    mean_bits: float
    epoch: int
    file: str


@dataclass(frozen=True, slots=True)
class LearnedRecord:
    """What a training found, from the cheapest member to the best; seconds are of processor time."""

    data_set: str
    data_hash: str
    sizes: tuple[int, ...]
    settings: dict[str, Any]
    members: tuple[LearnedMember, ...]
    teacher_seconds: float
    train_seconds: float
    score_seconds: float
    cut_seconds: float
    environment: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; what a member has is called after the metric."""
        metric = leading(CLASSIFICATION).name
        names = {f"{part}_value": f"{part}_{metric}" for part in ("validation", "test")}
        members = [{names.get(k, k): v for k, v in asdict(member).items()} for member in self.members]
        return asdict(self) | {"members": members}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training was begun with: enough to go on with it."""

    data_set: str
    data_path: str | None
    data_hash: str
    hidden: tuple[int, ...]
    settings: LearnSettings


def read_asked(directory: Path) -> Asked:
    """What ``learn_front`` wrote when it began.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    path = directory / ASKED
    try:
        return TypeAdapter(Asked).validate_json(path.read_bytes(), strict=True, extra="forbid")
    except FileNotFoundError:
        raise RunError(f"{directory}: no learned widths were begun here (no {ASKED})") from None
    except (OSError, ValueError, NarrowerError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error


def suited_settings(
    data: DataSet,
    epochs: int,
    *,
    granularity: str,
    max_width: int,
    target_ebops: float | None,
    seed: int,
) -> LearnSettings:
    """How widths are learned on these data; values share a width where the weights of a tensor do."""
    return LearnSettings.suited(
        epochs,
        len(data.train),
        weight_granularity=granularity,
        data_granularity="tensor" if granularity == "tensor" else "element",
        max_width=max_width,
        target=target_ebops,
        seed=seed,
    )


def learn_front(
    data: DataSet,
    hidden: Sequence[int],
    settings: LearnSettings,
    directory: Path,
    progress: Progress | None = None,
    data_path: Path | None = None,
) -> LearnedRecord:
    """Learn a perceptron with hidden layers of these sizes and write its front below ``directory``.

    The training part teaches, the validation part chooses the members, and the test part is looked at once,
    for the members alone.

    Raises:
        SettingsError: the samples are no rows of numbers, or no layer has a size.
        OutputError: the files cannot be written.
    """
    if data.train.inputs.dim() != 2 or not data.train.inputs.is_floating_point() or data.train.more:  # noqa: PLR2004
        shape = tuple(data.train.inputs.shape[1:])
        raise SettingsError(
            f"widths are learned for networks of linear layers, whose samples are rows of measurements; "
            f"those of {data.name!r} are {data.train.inputs.dtype} of shape {shape}"
        )
    if data.task != CLASSIFICATION:
        raise SettingsError(
            f"widths are learned for classifications; data set {data.name!r} is a {data.task.words.name}"
        )
    if any(size < 1 for size in hidden):
        raise SettingsError(f"hidden layers: expected whole numbers from 1, found {list(hidden)}")
    sizes = (data.train.inputs.shape[1], *hidden, len(data.output_names))
    path = None if data_path is None else str(data_path.resolve())
    asked = Asked(data.name, path, data.content_hash, tuple(hidden), settings)
    write_json(directory / ASKED, asdict(asked))
    found = learn(sizes, data.train, data.validation, settings, progress, directory / STATE)
    members = tuple(_kept(number, member, data, directory) for number, member in enumerate(found.members))
    record = LearnedRecord(
        data.name,
        data.content_hash,
        sizes,
        asdict(settings),
        members,
        found.teacher_seconds,
        found.train_seconds,
        found.score_seconds,
        found.cut_seconds,
        environment(),
    )
    write_json(directory / RECORD, record.to_dict())
    return record


def _kept(number: int, member: Member[LearnedChain], data: DataSet, directory: Path) -> LearnedMember:
    file = f"{MODELS}/member-{number}.safetensors"
    save_chain(member.network, directory / file)
    right = hits_on(member.network, data.test)
    widths = np.concatenate([layer.weight_widths.ravel() for layer in member.network.layers])
    used = widths[widths > 0]
    return LearnedMember(
        number=number,
        ebops=int(member.cost),
        validation_value=int(member.quality) / len(data.validation),
        validation_interval=wilson_interval(int(member.quality), len(data.validation)),
        test_value=right / len(data.test),
        test_interval=wilson_interval(right, len(data.test)),
        weights=len(used),
        all_weights=len(widths),
        mean_bits=float(used.mean()) if len(used) else 0.0,
        epoch=member.epoch,
        file=file,
    )


def hits_on(chain: LearnedChain, part: Part) -> int:
    """How many samples of a part get their class."""
    return hits_of(chain, part.inputs.numpy(), part.targets.numpy())
