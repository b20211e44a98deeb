"""Learn the widths of a chain of linear layers: one training gives the networks that no other beats."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.settings import LearnSettings
from narrower.preparation.learning.state_file import StateFiles
from narrower.preparation.learning.teacher import soft_targets
from narrower.preparation.learning.training import USUAL, Pricing, Progress, Saved, Told, Training

NEXT_SEED = 7919  # from one candidate's seed to the next one's


@dataclass(frozen=True)
class Learned:
    """Members from the cheapest to the best, and the seconds of processor time that they took."""

    members: tuple[Member[LearnedChain], ...]
    teacher_seconds: float
    train_seconds: float
    score_seconds: float
    cut_seconds: float


def learn(
    sizes: Sequence[int],
    train: Part,
    validation: Part,
    settings: LearnSettings,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> Learned:
    """Learn a network with ReLU between linear layers of these sizes: inputs, then the outputs of each.

    ``train`` alone teaches weights, widths and teacher, and gives the integer bits; ``validation`` alone
    chooses the members. Nothing else is looked at. In the directory ``keep``, where one is given, lies what a
    training that was killed goes on from.

    Raises:
        CheckpointError: what lies there is damaged, or of another training.
    """
    return learn_shapes([sizes], train, validation, settings, progress, keep)


def learn_shapes(  # noqa: PLR0913
    shapes: Sequence[Sequence[int]],
    train: Part,
    validation: Part,
    settings: LearnSettings,
    progress: Progress | None = None,
    keep: Path | None = None,
    told: Told | None = None,
    saving: Saved | None = None,
    *,
    ends_in_relu: bool = False,
    pricing: Pricing | None = None,
) -> Learned:
    """The same with several choices of hidden sizes, which are trained at once and share one front.

    ``told`` is called with each new member, in the order of their numbers; later ones may beat it. A training
    that goes on tells again of those after its last state; ``saving`` is called before a state is written.
    ``pricing``: the cost, which is ebops unless it says otherwise. ``ends_in_relu``: the outputs are never
    negative, so that a ReLU behind them changes nothing.

    Raises:
        SettingsError: they differ in depth, inputs or outputs, or share a width with what they are filled
        with.
        CheckpointError: what lies in ``keep`` is damaged, or of another training.
    """
    if len({(len(sizes), sizes[0], sizes[-1]) for sizes in shapes}) != 1:
        raise SettingsError(f"shapes {list(shapes)} differ in more than the sizes of their hidden layers")
    if len({tuple(sizes) for sizes in shapes}) > 1 and settings.weight_granularity != "weight":
        raise SettingsError(
            f"shapes of different sizes are learned with a width for each weight, not for each "
            f"{settings.weight_granularity}"
        )
    each = [sizes for sizes in shapes for _ in range(settings.candidates)]
    seeds = [settings.seed + NEXT_SEED * number for number in range(len(each))]
    files = (
        None
        if keep is None
        else StateFiles(keep, (each, settings, ends_in_relu, _digest(train), _digest(validation)))
    )
    with torch.no_grad():
        targets, seconds = _targets(train, shapes[0][-1], settings, files)
        used = pricing or USUAL
        training = Training(
            each, train, targets, validation, settings, seeds, ends_in_relu=ends_in_relu, pricing=used
        )
        if files is not None:
            files.restore(training)
        training.run(progress, None if files is None else partial(files.save, before=saving), told)
    return Learned(
        tuple(training.members),
        seconds,
        training.train_seconds,
        training.score_seconds,
        training.cut_seconds,
    )


def _targets(
    train: Part, classes: int, settings: LearnSettings, files: StateFiles | None
) -> tuple[Tensor, float]:
    """``targets_of``, and the seconds of processor time that they took; from the files, where they are."""
    if files is not None and (known := files.targets()) is not None:
        return known
    begin = time.process_time()
    targets = targets_of(train, classes, settings)
    seconds = time.process_time() - begin
    if files is not None:
        files.save_targets(targets, seconds)
    return targets, seconds


def _digest(part: Part) -> str:
    digest = hashlib.sha256()
    for tensor in (part.inputs, part.targets):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def targets_of(train: Part, classes: int, settings: LearnSettings) -> Tensor:
    """Shares of classes [N, classes] that a network is to give for each training sample."""
    hard = F.one_hot(train.targets, classes).float()
    if settings.soft_share == 0:
        return hard
    return hard.lerp(soft_targets(train.inputs, train.targets, classes, settings.seed), settings.soft_share)
