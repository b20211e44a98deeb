"""Score plans on one part of the samples after the other, and drop those that can no longer matter."""

from collections.abc import Sequence
from itertools import pairwise

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.plan.plan import Plan
from narrower.tasks.quality import CanMatter, Quality, added, best_reachable, failed, quality_of

ENDS = (0.5, 0.625, 0.75, 0.875, 1.0)  # shares of the samples after which plans can be dropped


def pieces(part: Part, batch_size: int) -> list[Part]:
    """The samples in a few parts whose batches are those of the whole."""
    batches = -(-len(part) // batch_size)
    edges = [0, *sorted({round(end * batches) * batch_size for end in ENDS} - {0})]
    return [part.between(start, stop) for start, stop in pairwise(edges)]


class EarlyEvaluator:
    """The qualities that an evaluator of all samples gives, but for plans that are dropped on the way.

    ``evaluators`` score the parts of the samples, in their order.
    """

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators
        self._task = evaluators[0].part.task
        self._samples = sum(len(evaluator.part) for evaluator in evaluators)

    def evaluate(self, plans: Sequence[Plan], can_matter: CanMatter, *, loss: bool) -> list[Quality]:
        """Score ``plans``; of those that are dropped, the metrics are bounds."""
        done: dict[int, Quality] = {}
        going = {position: Quality(0) for position in range(len(plans))}
        for evaluator in self._evaluators:
            found = evaluator.evaluate([plans[position] for position in going], loss=loss)
            for position, quality in zip(list(going), found, strict=True):
                total = self._together(going[position], quality)
                is_last = total.samples == self._samples
                if total.failure is not None or is_last:
                    done[position] = total
                    del going[position]
                    continue
                bound = best_reachable(self._task, total, self._samples)
                if can_matter(position, bound.metrics):
                    going[position] = total
                else:
                    done[position] = bound
                    del going[position]
        return [done[position] for position in range(len(plans))]

    def _together(self, before: Quality, more: Quality) -> Quality:
        if more.failure is not None:
            return failed(more.failure, self._samples)
        metrics = [metric for metric in self._task.metrics if metric.name in more.sums]
        return quality_of(self._task, added(metrics, before.sums, more.sums), before.samples + more.samples)
