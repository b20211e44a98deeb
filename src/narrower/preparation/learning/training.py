"""The training of several candidates at once, epoch by epoch, and the networks that it keeps."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.preparation.learning.above_zero import above_zero
from narrower.preparation.learning.adam import Adam
from narrower.preparation.learning.cost_factor import CostFactor
from narrower.preparation.learning.cutting import cut_members
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths, freeze
from narrower.preparation.learning.hardware_widths import with_hardware_widths
from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.members import Member, Members
from narrower.preparation.learning.network import LearnedNetwork
from narrower.preparation.learning.price import EBOPS, Price
from narrower.preparation.learning.schedule import Schedule
from narrower.preparation.learning.scoring import hits_of, largest_data, quick_scores
from narrower.preparation.learning.settings import MOST_WIDTH, LearnSettings
from narrower.preparation.learning.start import grouping, start

LARGEST_DATA_EVERY = 4  # steps between two looks at the largest data
WIDTH_DECAY = 1e-8  # so that a width that nothing needs becomes smaller
LITTLE_CHEAPER = 0.98
BALANCED_AFTER = 128  # steps; later the gradient of the loss vanishes, as the training converges
MOST_BATCHES = 16  # that gradients are averaged over, where their sizes are compared
LEAST_COST = 1e-3  # so that there is a logarithm
USUAL_BALANCE = 3e-6  # where a gradient is zero: what it is of small networks on the jets
EXPONENTS = (-10.0, 12.0)  # range of integer bits and of fractions

CostOf = Callable[[LearnedChain], float]
Progress = Callable[[int, Members[LearnedChain]], None]
Saved = Callable[["Training"], None]
Told = Callable[[Member[LearnedChain]], None]


@dataclass(frozen=True)
class Pricing:
    """The cost in the loss, and how it is counted of a deployed network."""

    price: Price
    cost_of: CostOf


USUAL = Pricing(EBOPS, lambda chain: chain.ebops)


class Training:
    """Candidates that differ in their seeds, and perhaps in hidden sizes; all see the same batches."""

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        train: Part,
        targets_no: Tensor,
        validation: Part,
        settings: LearnSettings,
        seeds: Sequence[int],
        *,
        ends_in_relu: bool = False,
        pricing: Pricing = USUAL,
    ) -> None:
        """``targets_no``: shares of classes of the training samples; their classes are not looked at.

        ``shapes`` and ``seeds``: of each candidate; the smaller ones are filled up with zeros.
        """
        self.settings, self._shapes, self._pricing = settings, shapes, pricing
        self.layout = Layout(len(seeds), tuple(max(sizes) for sizes in zip(*shapes, strict=True)))
        self.network = LearnedNetwork(self.layout, grouping(self.layout, settings), settings.allowed_bits)
        vector = torch.zeros(self.network.parameter_count)
        gradient = torch.zeros_like(vector)
        self._vector = vector
        self.parameters = self.network.parameters(vector)
        self._gradients = self.network.parameters(gradient)
        start(self.parameters, self.layout, settings, shapes, seeds)
        count = self.layout.coefficient_count
        self._weights = Adam(vector[:count], gradient[:count])
        self._widths = Adam(vector[count:], gradient[count:])
        self.network.set_input_range(train.inputs.T)
        self._most_width = max(settings.allowed, default=settings.max_width)
        self._train, self._validation = train, validation
        self._ends = torch.stack([train.inputs.amin(0), train.inputs.amax(0)]).numpy()
        self._samples = torch.cat([train.inputs, targets_no], 1)
        self._batch_size = min(settings.batch_size, len(train))
        self._steps_per_epoch = len(train) // self._batch_size
        steps = settings.epochs * self._steps_per_epoch
        self._schedule, self.cost_factor = Schedule(settings, steps), CostFactor(settings, steps)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self.epoch = 0  # epochs that have passed
        self.found = 0  # members so far, with those that others have beaten
        self._told: Told | None = None
        self._ends_in_relu = ends_in_relu
        self._wraps = settings.overflow == "wrap"
        self.members = Members[LearnedChain](settings.most_members)
        self.is_cut = False  # whether the last bits were taken away
        self.train_seconds = self.score_seconds = self.cut_seconds = 0.0

    def run(
        self, progress: Progress | None = None, saved: Saved | None = None, told: Told | None = None
    ) -> None:
        """The epochs that are left.

        ``saved`` is called after each, and its time is not counted; ``told`` of each new member, which later
        ones may beat.
        """
        self._told = told
        for epoch in range(self.epoch, self.settings.epochs):
            begin = time.process_time()
            self.train_epoch(epoch)
            between = time.process_time()
            if self._schedule.is_scored(epoch, self.settings.epochs):
                self._score(epoch)
            self.train_seconds += between - begin
            self.score_seconds += time.process_time() - between
            self.epoch = epoch + 1
            if saved is not None:
                saved(self)
            if progress is not None:
                progress(epoch, self.members)
        if self.settings.last_bits > 0 and not self.is_cut:
            begin = time.process_time()
            self._cut()
            self.cut_seconds += time.process_time() - begin
            self.is_cut = True
            if saved is not None:
                saved(self)
            if progress is not None:
                progress(self.epoch - 1, self.members)

    @property
    def state(self) -> dict[str, Tensor]:
        """Every tensor that the epochs to come follow from, and that ``restore`` takes; shared, not copied.

        All else is computed anew in each step.
        """
        adams = {"weights": self._weights, "widths": self._widths}
        names = ("means", "squares", "steps")
        return {
            "parameters": self._vector,
            "integer_bits_of_data": self.network.integer_bits_of_data,
            "generator": self._generator.get_state(),
            **{
                f"{which}.{name}": tensor
                for which, adam in adams.items()
                for name, tensor in zip(names, adam.state, strict=True)
            },
        }

    def restore(
        self, epoch: int, found: int, state: Mapping[str, Tensor], members: Iterable[Member[LearnedChain]]
    ) -> None:
        """Go on after so many epochs of a training of the same settings, with its ``state`` and members."""
        self.epoch, self.found = epoch, found
        self.members.restore(members)
        for name, tensor in self.state.items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])

    def train_epoch(self, epoch: int) -> None:
        """Every sample once, but for those that fill no batch."""
        size = self._batch_size
        count = len(self._samples) // size
        warm_steps = self.settings.warm_share * self.settings.epochs * self._steps_per_epoch
        if self.cost_factor.needs_balance and epoch * count >= min(BALANCED_AFTER, warm_steps):
            self.cost_factor.balance(self._balance())
        order = torch.randperm(len(self._samples), generator=self._generator)[: count * size]
        samples = self._samples[order].T.contiguous()
        for batch, some in enumerate(torch.split(samples, size, dim=1)):
            self._step(some, epoch * count + batch)
        if self.settings.target is not None:
            self.network.round(self.parameters)
            mean = float(self.network.cost(self._pricing.price).clamp_min(LEAST_COST).log().mean().exp())
            step = (epoch + 1) * count - 1
            self.cost_factor.steer(
                mean, step, self._schedule.rate(step - count // 2) / self.settings.learning_rate
            )

    def _balance(self) -> float:
        """The factor at which the gradients of loss and cost by the widths are equally large, on average."""
        network, gradients, inputs = self.network, self._gradients, self.layout.sizes[0]
        network.round(self.parameters)
        sums = torch.zeros_like(gradients.bits)
        batches = torch.split(self._samples, self._batch_size)[: min(MOST_BATCHES, self._steps_per_epoch)]
        for some in batches:
            samples = some.T.contiguous()
            network.forward(samples[:inputs])
            network.backward(samples[inputs:], gradients)
            sums += gradients.bits
        network.follow_largest(len(batches[-1]), 1)
        of_loss = float((sums / len(batches)).norm())
        before = gradients.bits.clone()
        network.add_cost_gradients(torch.ones(self.layout.data_count), gradients, self._pricing.price)
        of_cost = float((gradients.bits - before).norm())
        return of_loss / of_cost if of_loss > 0 and of_cost > 0 else USUAL_BALANCE

    def _step(self, samples: Tensor, step: int) -> None:
        network, gradients = self.network, self._gradients
        inputs = self.layout.sizes[0]
        network.round(self.parameters)
        network.forward(samples[:inputs])
        network.backward(samples[inputs:], gradients)
        if step % LARGEST_DATA_EVERY == 0:
            network.follow_largest(samples.shape[1], LARGEST_DATA_EVERY)
        factors = torch.full((self.layout.data_count,), self.cost_factor.of(step))
        network.add_cost_gradients(factors, gradients, self._pricing.price)
        gradients.bits.add_(WIDTH_DECAY)
        rate = self._schedule.rate(step)
        self._weights.step(rate)
        self._widths.step(rate * self.settings.rate_of_bits)
        self.parameters.bits.clamp_(0, self._most_width - 1)
        self.parameters.integer_bits.clamp_(*EXPONENTS)
        self.parameters.data_fractions.clamp_(*EXPONENTS)
        if self._most_width < MOST_WIDTH:
            network.narrow_data(self.parameters, self._most_width)

    def _score(self, epoch: int) -> None:
        """Deploy the candidates that no member is likely to beat."""
        self.network.round(self.parameters)
        inputs, targets = self._validation.inputs, self._validation.targets
        hits, costs = quick_scores(self.network, inputs.T, targets, self._pricing.price)
        pairs = list(zip(costs, hits, strict=True))
        kept = [candidate for candidate, pair in enumerate(pairs) if self.members.would_keep(*pair)]
        largest = largest_data(self.network, self._train.inputs.T) if kept else []
        for candidate in kept:
            if self.members.would_keep(*pairs[candidate]):  # others may have entered since
                shape = self._shapes[candidate]
                chain = freeze(self.network, candidate, shape, self._ends, largest, wrap=self._wraps)
                self._enter(chain, epoch, candidate)

    def _enter(self, chain: LearnedChain, epoch: int, candidate: int) -> None:
        """Keep a deployed chain, with the widths that hardware has, unless a member beats it."""
        chain = with_hardware_widths(chain, self._train.inputs.numpy(), self.settings)
        if chain.ebops == 0:  # no weight is left
            return
        if self._ends_in_relu:
            chain = above_zero(chain)
        inputs, targets = self._validation.inputs.numpy(), self._validation.targets.numpy()
        member = Member(
            chain,
            self._pricing.cost_of(chain),
            hits_of(chain, inputs, targets),
            epoch,
            candidate,
            self.found,
        )
        if self.members.add(member):
            self.found += 1
            if self._told is not None:
                self._told(member)

    def _cut(self) -> None:
        """Take the last bits of each member away."""
        inputs = self._train.inputs
        targets = self._samples[:, inputs.shape[1] :]
        members, cost_of = list(self.members), self._pricing.cost_of
        for member, chain, hits in cut_members(
            members, self._train, targets, self._validation, self.settings, cost_of
        ):
            # Widths that fit better make a chain little cheaper, and hardly better.
            if self.members.would_keep(LITTLE_CHEAPER * cost_of(chain), hits):
                self._enter(fit_widths(chain, inputs.numpy()), member.epoch, member.candidate)
