"""The quality of many plans at once, each evaluated once."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor

from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.evaluate.backends.backend import Backend
from narrower.evaluate.own_metric import OwnMetric
from narrower.evaluate.program_engine import ProgramEngine
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality
from narrower.tasks.task import LOSS, SampleMetric

CACHE_BYTES = 2**30
MOST_RESULTS = 2**14  # that are remembered


class Evaluator:
    """Scores plans of one model on one set of samples; no plan is evaluated twice while it is remembered.

    ``program`` is the lowered program. Outputs and metrics equal those of running it alone for each plan,
    bit for bit, at the same batch size and number of threads; where there is no graph, those of calling the
    model with rounded operands. ``cache_bytes`` bound what a process holds for other plans. Where plans are
    scored is up to ``backend``, which is started and closed by using the evaluator as a context manager;
    unless it is given, in this process. The results are the same.
    """

    def __init__(
        self,
        program: Program,
        part: Part,
        *,
        batch_size: int = SAMPLES_AT_ONCE,
        own_metrics: Mapping[str, OwnMetric] | None = None,
        cache_bytes: int = CACHE_BYTES,
        backend: Backend | None = None,
    ) -> None:
        self.program = program
        self.part = part
        self.batch_size = batch_size
        self.cache_bytes = cache_bytes
        self.adopted = 0  # plans whose result came from an earlier search
        self._engine = ProgramEngine(program, part, batch_size, dict(own_metrics or {}), cache_bytes)
        self._backend = backend
        self._score = self._engine.score
        self._earlier: Mapping[Plan, Quality] = {}
        self._results: OrderedDict[tuple[Plan, bool], Quality] = OrderedDict()

    def __enter__(self) -> "Evaluator":
        if self._backend is not None:
            self._backend.start(self._engine)
            self._score = self._backend.score
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._backend is not None:
            self._backend.close()
            self._score = self._engine.score

    @property
    def lost_workers(self) -> int:
        """Worker processes that ended before they were told to."""
        return 0 if self._backend is None else self._backend.lost

    def evaluate(self, plans: Sequence[Plan], *, loss: bool = False) -> list[Quality]:
        """Score ``plans`` in their order; with ``loss`` the loss is computed as well.

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
        found.update(zip(missing, self._score(missing, loss), strict=True))
        for plan in missing:
            self._results[plan, loss] = found[plan]
        while len(self._results) > MOST_RESULTS:
            self._results.popitem(last=False)
        return [found[plan] for plan in plans]

    def adopt(self, results: Mapping[Plan, Quality]) -> None:
        """Use results of an earlier search with the same model, samples, batch size and threads."""
        self._earlier = results

    def contributions(self, plans: Sequence[Plan]) -> Tensor:
        """What each sample contributes to the leading metric of the task: [plans, N], or [plans, N, K]."""
        different = list(dict.fromkeys(plans))
        positions = {plan: position for position, plan in enumerate(different)}
        return self._engine.contributions(different)[[positions[plan] for plan in plans]]

    def contributions_to(self, metrics: Sequence[SampleMetric], plan: Plan) -> list[Tensor]:
        """What each sample contributes to each of some metrics under one plan: [N], or [N, K]."""
        return self._engine.contributions_to(metrics, plan)

    def outputs(self, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The outputs of one plan for any samples: the model's argument, or its arguments."""
        return self._engine.outputs(plan, inputs)

    def own_outputs(self, plan: Plan) -> Tensor:
        """The outputs of one plan for the samples of ``part``.

        Raises:
            ModelError: there are none.
        """
        return self._engine.own_outputs(plan)

    def release(self) -> None:
        """Let go the values that this process holds for other plans: another evaluator needs the memory."""
        self._engine.release()

    def _known(self, plan: Plan, loss: bool) -> Quality | None:
        known = self._results.get((plan, loss))
        if known is not None:
            self._results.move_to_end((plan, loss))
            return known
        earlier = self._earlier.get(plan)
        if earlier is None or (loss and LOSS not in earlier.metrics):
            return None
        self.adopted += 1
        self._results[plan, loss] = earlier
        return earlier
