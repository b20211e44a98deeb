"""The training of a network's weights and widths, epoch by epoch, and the networks that it keeps."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.evaluate.definition import Definition
from narrower.graph.program import Program
from narrower.preparation.learning.adam import Adam
from narrower.preparation.learning.cost_factor import LAST_OF_TRAINED, CostFactor
from narrower.preparation.learning.members import Member, Members
from narrower.preparation.learning.price import Price
from narrower.preparation.learning.programs.freeze import Frozen, freeze
from narrower.preparation.learning.programs.learned_program import FORGOTTEN_BITS, LearnedProgram
from narrower.preparation.learning.programs.operands import Operands
from narrower.preparation.learning.programs.relaxed_cost import RelaxedCost
from narrower.preparation.learning.programs.start import start
from narrower.preparation.learning.schedule import Schedule
from narrower.preparation.learning.settings import MOST_WIDTH, LearnSettings
from narrower.tasks.task import leading
from narrower.training.losses import Losses

WIDTH_DECAY = 1e-8  # so that a width that nothing needs becomes smaller
MOST_BATCHES = 16  # that gradients are averaged over, where their sizes are compared
USUAL_BALANCE = 3e-6  # where a gradient is zero
EXPONENTS = (-24.0, 24.0)  # range of integer bits and of fractions

FrozenMember = Member[Frozen]
Progress = Callable[[int, Members[Frozen]], None]
Saved = Callable[["ProgramTraining"], None]
Told = Callable[[FrozenMember], None]
CostOf = Callable[[Frozen], float]


@dataclass(frozen=True)
class Lesson:
    """What a network learns from, and what of: its loss, its cost, and how a deployed one is priced."""

    train: Part
    validation: Part
    losses: Losses
    teacher: Tensor | None  # outputs of the float network for the training part
    price: Price
    cost_of: CostOf


class ProgramTraining:
    """One candidate, which begins with the weights of the network."""

    def __init__(self, program: Program, operands: Operands, lesson: Lesson, settings: LearnSettings) -> None:
        self.settings, self._lesson = settings, lesson
        self._learned = LearnedProgram(program, operands, settings.allowed_bits)
        learned, count = self._learned, self._learned.value_count
        start(learned, settings, lesson.train.arguments)
        vector, gradient = learned.vector, learned.gradient
        self._weights = Adam(vector[:count], gradient[:count])
        self._widths = Adam(vector[count:], gradient[count:])
        self._batch_size = min(settings.batch_size, len(lesson.train))
        self._steps_per_epoch = len(lesson.train) // self._batch_size
        steps = settings.epochs * self._steps_per_epoch
        self._relaxed = RelaxedCost(learned, lesson.price)
        self._schedule = Schedule(settings, steps)
        self.cost_factor = CostFactor(settings, steps, LAST_OF_TRAINED)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._most = max(settings.allowed, default=settings.max_width)
        self.epoch = 0  # epochs that have passed
        self.found = 0  # members so far, with those that others have beaten
        self.members = Members[Frozen](settings.most_members)
        self._told: Told | None = None

    def run(
        self, progress: Progress | None = None, saved: Saved | None = None, told: Told | None = None
    ) -> None:
        """The epochs that are left; see ``Training.run`` of chains."""
        self._told = told
        for epoch in range(self.epoch, self.settings.epochs):
            with torch.enable_grad():
                self._train_epoch(epoch)
            if self._schedule.is_scored(epoch, self.settings.epochs):
                self._score(epoch)
            self.epoch = epoch + 1
            if saved is not None:
                saved(self)
            if progress is not None:
                progress(epoch, self.members)

    @property
    def state(self) -> dict[str, Tensor]:
        """Every tensor that the epochs to come follow from, and that ``restore`` takes; shared."""
        names = ("means", "squares", "steps")
        return {
            "parameters": self._learned.vector,
            "generator": self._generator.get_state(),
            **{f"integer_bits.{n}": each.integer_bits for n, each in enumerate(self._learned.data)},
            **{f"signs.{n}": each.signs for n, each in enumerate(self._learned.data)},
            **{
                f"{which}.{name}": tensor
                for which, adam in {"weights": self._weights, "widths": self._widths}.items()
                for name, tensor in zip(names, adam.state, strict=True)
            },
        }

    def restore(
        self, epoch: int, found: int, state: Mapping[str, Tensor], members: Iterable[FrozenMember]
    ) -> None:
        """Go on after so many epochs of a training of the same settings, with its ``state`` and members."""
        self.epoch, self.found = epoch, found
        self.members.restore(members)
        for name, tensor in self.state.items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])

    def _train_epoch(self, epoch: int) -> None:
        settings, size, count = self.settings, self._batch_size, self._steps_per_epoch
        warm_epochs = settings.warm_share * settings.epochs
        if self.cost_factor.needs_balance and epoch >= min(1, warm_epochs):
            self.cost_factor.balance(self._balance())
        order = torch.randperm(len(self._lesson.train), generator=self._generator)[: count * size]
        for batch, some in enumerate(torch.split(order, size)):
            self._step(some, epoch * count + batch)
        if settings.target is not None:
            step = (epoch + 1) * count - 1
            rate = self._schedule.rate(step - count // 2) / settings.learning_rate
            self.cost_factor.steer(self._cost(), step, rate)

    def _cost(self) -> float:
        return float(self._relaxed.now().detach())

    def _loss(self, some: Tensor, forgotten: float) -> Tensor:
        lesson, data = self._lesson, self._learned.data
        arguments = [argument[some] for argument in lesson.train.arguments]
        outputs = self._learned.outputs(*arguments, see=lambda n, values: data[n].see(values, forgotten))
        teacher = None if lesson.teacher is None else lesson.teacher[some]
        return lesson.losses.of_batch(outputs, lesson.train.targets[some], teacher)

    def _step(self, some: Tensor, step: int) -> None:
        learned, factor = self._learned, self.cost_factor.of(step)
        learned.gradient.zero_()
        loss = self._loss(some, FORGOTTEN_BITS)
        if factor > 0:
            loss = loss + factor * self._relaxed.now()
        loss.backward()  # type: ignore[no-untyped-call]
        learned.bits_gradient.add_(WIDTH_DECAY)
        rate = self._schedule.rate(step)
        with torch.no_grad():
            self._weights.step(rate)
            self._widths.step(rate * self.settings.rate_of_bits)
            learned.clamp(self._most - 1, EXPONENTS)
            if self._most < MOST_WIDTH:
                learned.narrow_data(self._most)

    def _balance(self) -> float:
        """The factor at which the gradients of loss and cost by the widths are equally large, on average."""
        learned = self._learned
        order = torch.arange(len(self._lesson.train))
        batches = torch.split(order, self._batch_size)[: min(MOST_BATCHES, self._steps_per_epoch)]
        learned.gradient.zero_()
        for some in batches:
            self._loss(some, 0.0).backward()  # type: ignore[no-untyped-call]
        of_loss = float((learned.bits_gradient / len(batches)).norm())
        learned.gradient.zero_()
        self._relaxed.now().backward()  # type: ignore[no-untyped-call]
        of_cost = float(learned.bits_gradient.norm())
        return of_loss / of_cost if of_loss > 0 and of_cost > 0 else USUAL_BALANCE

    def _score(self, epoch: int) -> None:
        """Deploy the network, unless a member is likely to beat it."""
        lesson, learned = self._lesson, self._learned
        with torch.no_grad():
            quality = self._quality(learned.outputs, lesson.validation)
            if not self.members.would_keep(self._cost(), quality):
                return
            frozen = freeze(learned, lesson.train.arguments, self._most, self.settings.allowed)
        if learned.coefficients and not frozen.has_weights:
            return
        deployed = Definition(frozen.program(learned.program))
        quality = self._quality(lambda *batch: deployed.outputs(frozen.plan, *batch), lesson.validation)
        member = Member(frozen, lesson.cost_of(frozen), quality, epoch, 0, self.found)
        if self.members.add(member):
            self.found += 1
            if self._told is not None:
                self._told(member)

    def _quality(self, outputs: Callable[..., Tensor], part: Part) -> float:
        """The leading metric of what some network gives; more is better."""
        metric, sums = leading(part.task), None
        parts = (torch.split(each, SAMPLES_AT_ONCE) for each in (*part.arguments, part.targets))
        for *batch, targets in zip(*parts, strict=True):
            own = metric.sums(outputs(*batch), targets)
            sums = own if sums is None else tuple(a + b for a, b in zip(sums, own, strict=True))
        assert sums is not None
        return metric.sign * metric.value(sums, len(part))
