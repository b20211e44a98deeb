"""Score plans of one lowered program in this process: the chain where there is one, else the graph."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.errors import ModelError
from narrower.evaluate.batch_size import largest_value
from narrower.evaluate.chain import Chain, Option, find_chain
from narrower.evaluate.chain_engine import ChainEngine, arrange
from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.graph_engine import GraphEngine
from narrower.evaluate.module_engine import ModuleEngine
from narrower.evaluate.own_metric import OwnMetric
from narrower.evaluate.sample_engine import SampleEngine, is_finite
from narrower.evaluate.steps import Steps
from narrower.graph.network import Network
from narrower.graph.program import Program, Untraced
from narrower.plan.plan import Plan
from narrower.tasks.columns import columns_of
from narrower.tasks.quality import Quality, quality_of
from narrower.tasks.task import SampleMetric, wanted_metrics

PLANS_IN_A_TREE = 8192
HALVINGS_OF_PLANS = 6  # before a batch has fewer samples
PLANS_AT_ONCE = 2**HALVINGS_OF_PLANS  # on a device


@dataclass(frozen=True, slots=True)
class _State:
    """What an engine is made from: the steps of a program, or the modules of a model without a graph.

    ``edge_steps`` are those of the program for plans that round edges.
    """

    source: Steps | tuple[Network, Untraced]
    edge_steps: Steps | None
    part: Part
    batch_size: int
    own_metrics: Mapping[str, OwnMetric]
    cache_bytes: int
    largest_value: int
    device: str = "cpu"
    plans_at_once: int = 1


class ProgramEngine:
    """Scores plans on one set of samples; remembers values that plans share, but no results."""

    def __init__(
        self,
        program: Program,
        part: Part,
        batch_size: int,
        own_metrics: Mapping[str, OwnMetric],
        cache_bytes: int,
    ) -> None:
        source = program.untraced and (program.network, program.untraced)
        self.__setstate__(
            _State(
                source or compile_steps(program),
                None if source else compile_steps(program, with_edges=True),
                part,
                batch_size,
                own_metrics,
                cache_bytes,
                largest_value(program),
            )
        )

    def on(self, device: str, halvings: int) -> "ProgramEngine":
        """The same with weights and samples on a device, for many plans at once; metrics are worked out here.

        Halvings are of the plans first, then of the samples.
        """
        plans_at_once = max(1, PLANS_AT_ONCE >> halvings)
        batch_size = max(1, self._state.batch_size >> max(0, halvings - HALVINGS_OF_PLANS))
        moved = object.__new__(ProgramEngine)
        moved.__setstate__(
            replace(self._state, device=device, batch_size=batch_size, plans_at_once=plans_at_once)
        )
        return moved

    def __getstate__(self) -> "_State":
        """What another process needs to score the same."""
        return self._state

    def __setstate__(self, state: "_State") -> None:
        self._state, self._part, self._own = state, state.part, state.own_metrics
        self._engine = _engine(state, state.source)

    @cached_property
    def _edge_engine(self) -> SampleEngine:
        """Scores plans that round edges.

        Raises:
            ModelError: there is no graph.
        """
        if self._state.edge_steps is None:
            raise ModelError("a model without a graph has no edges to round; allowed: data, weight and bias")
        return _engine(self._state, self._state.edge_steps)

    def _engine_for(self, plan: Plan) -> SampleEngine:
        return self._edge_engine if plan.outputs else self._engine

    @property
    def layers(self) -> Sequence[str]:
        """The layers that a plan can round, in the order in which they run."""
        return self._engine.layers

    def warm_up(self) -> None:
        """Arrange the samples for the chain."""
        _ = self._chain

    def contributions(self, plans: Sequence[Plan]) -> Tensor:
        """What each sample contributes to the leading metric: [plans, N], or [plans, N, K]."""
        exact, others = self._sorted_out(plans)
        parts: list[tuple[list[int], Tensor]] = []
        if self._chain is not None and exact:
            parts.append((list(exact), self._chain[1].contributions(list(exact.values()))))
        for engine, some in self._by_engine(plans, others):
            parts.append((some, engine.contributions([plans[position] for position in some])))
        found = parts[0][1].new_zeros(len(plans), *parts[0][1].shape[1:])
        for positions, own in parts:
            found[positions] = own
        return found

    def contributions_to(self, metrics: Sequence[SampleMetric], plan: Plan) -> list[Tensor]:
        """What each sample contributes to each of some metrics under one plan: [N], or [N, K]."""
        return [own[0] for own in self._engine_for(plan).contributions_to(metrics, [plan])]

    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The outputs of one plan for any samples: the model's argument, or its arguments."""
        return self._engine_for(plan).outputs(plan, inputs)

    def own_outputs(self, plan: Plan) -> Tensor:
        """The outputs of one plan for the samples that it is scored on.

        Raises:
            ModelError: there are none.
        """
        return self._engine_for(plan).own_outputs(plan)

    def release(self) -> None:
        """Let go what is held for other plans."""
        self._engine.release()
        if "_edge_engine" in vars(self):
            self._edge_engine.release()

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The quality of each plan; one that goes wrong has a ``failure``."""
        qualities: dict[int, Quality] = {}
        exact, others = ({}, list(range(len(plans)))) if self._own else self._sorted_out(plans)
        positions, samples, task = list(exact), len(self._part), self._part.task
        names = [metric.name for metric in wanted_metrics(task, loss=loss)]
        for start in range(0, len(positions), PLANS_IN_A_TREE):
            some = positions[start : start + PLANS_IN_A_TREE]
            assert self._chain is not None
            sums = self._chain[1].sums([exact[position] for position in some], loss=loss)
            for position, of_plan in zip(some, sums, strict=True):
                by_name = {name: (value,) for name, value in zip(names, of_plan, strict=True)}
                qualities[position] = quality_of(task, by_name, samples)
        for engine, some in self._by_engine(plans, others):
            scored = engine.score([plans[position] for position in some], loss=loss, own=self._own)
            qualities.update(zip(some, scored, strict=True))
        return [qualities[position] for position in range(len(plans))]

    def _by_engine(
        self, plans: Sequence[Plan], positions: Sequence[int]
    ) -> Iterator[tuple[SampleEngine, list[int]]]:
        """The engines that score the plans at some positions, each with its own; at least one."""
        with_edges = [position for position in positions if plans[position].outputs]
        others = [position for position in positions if not plans[position].outputs]
        if others or not with_edges:
            yield self._engine, others
        if with_edges:
            yield self._edge_engine, with_edges

    def _sorted_out(self, plans: Sequence[Plan]) -> tuple[dict[int, tuple[Option, ...]], list[int]]:
        """Plans that the chain can score, by their position, and the positions of the others."""
        exact: dict[int, tuple[Option, ...]] = {}
        others = []
        for position, plan in enumerate(plans):
            options = None if self._chain is None or plan.outputs else self._chain[0].options(plan)
            if options is None:
                others.append(position)
            else:
                exact[position] = options
        return exact, others

    @cached_property
    def _chain(self) -> tuple[Chain, ChainEngine] | None:
        """Where the program is a chain of linear layers and the task can score columns: the fast way."""
        columns = columns_of(self._part.task)
        if (
            columns is None
            or self._state.device != "cpu"
            or not isinstance(self._engine, GraphEngine)
            or (chain := find_chain(self._engine.steps)) is None
        ):
            return None
        with torch.inference_mode():
            entering = self._engine.unrounded(chain.start)
            if entering.dim() != 2 or not is_finite(entering):  # noqa: PLR2004
                return None
            samples = arrange(entering, self._part.targets, columns)
        return None if samples is None else (chain, ChainEngine(chain, samples, columns))


def _engine(state: _State, source: Steps | tuple[Network, Untraced]) -> SampleEngine:
    if isinstance(source, Steps):
        value_bytes = 4 * state.largest_value
        return GraphEngine(
            source,
            state.part,
            state.batch_size,
            state.cache_bytes,
            value_bytes,
            state.device,
            state.plans_at_once,
        )
    return ModuleEngine(*source, state.part, state.batch_size, state.cache_bytes, state.device)
