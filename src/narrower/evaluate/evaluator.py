"""The quality of many plans at once."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from narrower.evaluate.batch_size import largest_value
from narrower.evaluate.chain import Chain, Option, find_chain
from narrower.evaluate.chain_scores import ChainScores, arrange
from narrower.evaluate.graph_scores import GraphScores
from narrower.evaluate.module_scores import ModuleScores
from narrower.evaluate.own_metric import OwnMetric
from narrower.evaluate.quality import Quality
from narrower.evaluate.scores import Scores, is_finite
from narrower.evaluate.steps import compile_steps
from narrower.evaluate.workers import Workers
from narrower.graph.program import Program
from narrower.plan import UNCHANGED, LayerPlan, Plan
from narrower.tasks.parts import Part

CACHE_BYTES = 2**30
MOST_RESULTS = 2**14  # that are remembered
PLANS_IN_A_TREE = 8192


class Evaluator:
    """Scores plans of one model on one set of samples; no plan is evaluated twice while it is remembered.

    ``program`` is the lowered program. Outputs and accuracies equal those of running it alone for each plan,
    bit for bit, at the same batch size and number of threads; where there is no graph, those of calling the
    model with rounded operands. ``cache_bytes`` bound what is held for other plans, in all processes
    together. With ``jobs`` above 1, used as a context manager, that many processes share the work; the
    results are the same.
    """

    def __init__(
        self,
        program: Program,
        part: Part,
        *,
        batch_size: int = 4096,
        own_metrics: Mapping[str, OwnMetric] | None = None,
        cache_bytes: int = CACHE_BYTES,
        jobs: int = 1,
    ) -> None:
        self.program = program
        self.part = part
        self.batch_size = batch_size
        self.adopted = 0  # plans whose result came from an earlier search
        self._own = dict(own_metrics or {})
        self._scores = _scores(program, part, batch_size, cache_bytes // jobs)
        self._jobs = jobs
        self._workers: Workers | None = None
        self._earlier: Mapping[Plan, Quality] = {}
        self._results: OrderedDict[tuple[Plan, bool], Quality] = OrderedDict()

    def __enter__(self) -> "Evaluator":
        if self._jobs > 1:
            _ = self._chain  # so that its samples are there once, for all
            self._workers = Workers(self._score, self._jobs - 1)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def evaluate(self, plans: Sequence[Plan], *, loss: bool = False) -> list[Quality]:
        """Score ``plans`` in their order; with ``loss`` the cross entropy is computed as well.

        A plan whose evaluation raises or gives NaN has a ``failure``; the others are not touched by it.
        """
        found: dict[Plan, Quality] = {}
        missing = []
        for plan in dict.fromkeys(plans):
            known = self._known(plan, loss)
            if known is None:
                missing.append(plan)
            else:
                found[plan] = known
        if self._workers is not None:
            missing = self._in_shared_order(missing)
        score = self._score if self._workers is None else self._workers.score
        found.update(zip(missing, score(missing, loss), strict=True))
        for plan in missing:
            self._results[plan, loss] = found[plan]
        while len(self._results) > MOST_RESULTS:
            self._results.popitem(last=False)
        return [found[plan] for plan in plans]

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search with the same model, samples, batch size and threads."""
        self._earlier = results

    def hits(self, plans: Sequence[Plan]) -> Tensor:
        """Whether each plan gets each sample right: truth values [plans, N]."""
        different = list(dict.fromkeys(plans))
        hits = torch.zeros(len(different), len(self.part), dtype=torch.bool)
        exact, others = self._sorted_out(different)
        if self._chain is not None and exact:
            hits[list(exact)] = self._chain[1].hits(list(exact.values()))
        if others:
            hits[others] = self._scores.hits([different[position] for position in others])
        positions = {plan: position for position, plan in enumerate(different)}
        return hits[[positions[plan] for plan in plans]]

    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The scores [N, classes] of one plan for any samples: the model's argument, or its arguments."""
        return self._scores.outputs(plan, inputs)

    def _known(self, plan: Plan, loss: bool) -> Quality | None:
        known = self._results.get((plan, loss))
        if known is not None:
            self._results.move_to_end((plan, loss))
            return known
        earlier = self._earlier.get(plan)
        if earlier is None or (loss and earlier.loss is None):
            return None
        self.adopted += 1
        self._results[plan, loss] = earlier
        return earlier

    def _in_shared_order(self, plans: Sequence[Plan]) -> list[Plan]:
        """Plans that agree in their first layers next to each other."""
        layers = self._scores.layers
        ranks: dict[LayerPlan, int] = {}

        def key(plan: Plan) -> tuple[int, ...]:
            chosen = dict(plan.layers)
            return tuple([ranks.setdefault(chosen.get(layer, UNCHANGED), len(ranks)) for layer in layers])

        return sorted(plans, key=key)

    def _score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        qualities: dict[int, Quality] = {}
        exact, others = ({}, list(range(len(plans)))) if self._own else self._sorted_out(plans)
        positions, samples = list(exact), len(self.part)
        for start in range(0, len(positions), PLANS_IN_A_TREE):
            some = positions[start : start + PLANS_IN_A_TREE]
            assert self._chain is not None
            correct, losses = self._chain[1].counts([exact[position] for position in some], loss=loss)
            for number, position in enumerate(some):
                mean = None if losses is None else losses[number] / samples
                qualities[position] = Quality(correct[number], samples, mean)
        scored = self._scores.score([plans[position] for position in others], loss=loss, own=self._own)
        qualities.update(zip(others, scored, strict=True))
        return [qualities[position] for position in range(len(plans))]

    def _sorted_out(self, plans: Sequence[Plan]) -> tuple[dict[int, tuple[Option, ...]], list[int]]:
        """Plans that the chain can score, by their position, and the positions of the others."""
        exact: dict[int, tuple[Option, ...]] = {}
        others = []
        for position, plan in enumerate(plans):
            options = None if self._chain is None else self._chain[0].options(plan)
            if options is None:
                others.append(position)
            else:
                exact[position] = options
        return exact, others

    @cached_property
    def _chain(self) -> tuple[Chain, ChainScores] | None:
        """Where the program is a chain of linear layers: the fast way through it."""
        if not isinstance(self._scores, GraphScores) or (chain := find_chain(self._scores.steps)) is None:
            return None
        with torch.inference_mode():
            entering = self._scores.unrounded(chain.start)
            if entering.dim() != 2 or not is_finite(entering):  # noqa: PLR2004
                return None
            samples = arrange(entering, self.part.targets)
        return None if samples is None else (chain, ChainScores(chain, samples))


def _scores(program: Program, part: Part, batch_size: int, cache_bytes: int) -> Scores:
    if program.untraced is not None:
        return ModuleScores(program.network, program.untraced, part, batch_size, cache_bytes)
    value_bytes = 4 * largest_value(program)
    return GraphScores(compile_steps(program), part, batch_size, cache_bytes, value_bytes)
