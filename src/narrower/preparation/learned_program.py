"""All layers of a model that multiply weights or activations, learned from the weights that it has."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.evaluate.definition import Definition
from narrower.models.ending import ending_of
from narrower.plan.plan import Plan
from narrower.preparation.learned_way import Passed, Proposal, Proposed, Saving
from narrower.preparation.learning.effective_bits import effective_bit_operations
from narrower.preparation.learning.price import price_of
from narrower.preparation.learning.programs.files import ProgramFiles
from narrower.preparation.learning.programs.freeze import Frozen
from narrower.preparation.learning.programs.operands import operands_of
from narrower.preparation.learning.programs.training import FrozenMember, Lesson, ProgramTraining
from narrower.preparation.preparation import Subject
from narrower.preparation.settings import LearnedSettings
from narrower.training.losses import Losses
from narrower.training.recipe import Recipe


class ProgramWay:
    """Learns from the model's weights; batch norms are folded into the layers before them."""

    def __init__(self, subject: Subject, settings: LearnedSettings) -> None:
        self._subject, self._settings = subject, settings
        self._operands = operands_of(subject.lowered, settings.granularity, settings.operands, subject.kept)
        self._known: dict[int, Proposal] = {}

    def learn(
        self, validation: Part, proposed: Proposed, passed: Passed, keep: Path | None, saving: Saving | None
    ) -> tuple[Proposal, ...]:
        """See ``Way``."""
        data, program = self._subject.data, self._subject.lowered
        settings = self._settings.of_program(len(data.train))
        training = ProgramTraining(program, self._operands, self._lesson(validation), settings)
        files = None
        if keep is not None:
            told = (settings, data.content_hash, len(validation), program.content_hash)
            files = ProgramFiles(keep, told)
            files.restore(training)

        def saved(trained: ProgramTraining) -> None:
            assert files is not None
            files.save(trained, None if saving is None else lambda _training: saving())

        with torch.no_grad():
            training.run(
                lambda epoch, members: passed(epoch, self._proposals(members)),
                saved if files is not None else None,
                lambda member: proposed(self._proposal(member)),
            )
        return self._proposals(training.members)

    def _lesson(self, validation: Part) -> Lesson:
        subject = self._subject
        settings = self._settings.of_program(len(subject.data.train))
        ending = ending_of(subject.model, subject.data.train.arguments, subject.program.network)
        loss = subject.data.task.loss(ending)
        share = settings.soft_share if loss.taught is not None else 0.0
        return Lesson(
            subject.data.train,
            validation,
            Losses(Recipe(distillation=share), loss),
            self._taught() if share else None,
            price_of(settings.cost, subject.program.network),
            self._cost_of,
        )

    def _taught(self) -> Tensor:
        """What the float network gives for the training part."""
        float_network = Definition(self._subject.lowered)
        parts = (torch.split(each, SAMPLES_AT_ONCE) for each in self._subject.data.train.arguments)
        return torch.cat(
            [float_network.outputs(Plan(), *batch).clone() for batch in zip(*parts, strict=True)]
        )

    @cached_property
    def _cost(self) -> NetworkCost:
        return NetworkCost(self._subject.program.network)

    def _cost_of(self, frozen: Frozen) -> float:
        name = self._settings.cost
        return self._ebops(frozen) if name == "ebops" else float(self._cost.of(frozen.plan)[name])

    def _ebops(self, frozen: Frozen) -> float:
        return float(effective_bit_operations(frozen.program(self._subject.lowered), frozen.plan))

    def _proposals(self, members: Iterable[FrozenMember]) -> tuple[Proposal, ...]:
        found = {member.number: self._proposal(member) for member in members}
        self._known = found
        return tuple(found.values())

    def _proposal(self, member: FrozenMember) -> Proposal:
        if member.number in self._known:
            return self._known[member.number]
        sign = self._subject.data.task.metrics[0].sign
        frozen = member.network
        return Proposal(
            member.number,
            frozen.plan,
            member.cost,
            self._ebops(frozen),
            sign * member.quality,
            lambda: frozen.state,
        )
