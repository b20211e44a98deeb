"""Score plans on one part of the samples after the other, and drop those that can no longer matter."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from narrower.data.parts import Part
from narrower.evaluate.evaluator import Evaluator
from narrower.plan import Plan
from narrower.quality import Quality

# Takes the position of a plan and its bounds, the best values that its metrics can still reach.
CanMatter = Callable[[int, Mapping[str, float]], bool]

ENDS = (0.5, 0.625, 0.75, 0.875, 1.0)  # shares of the samples after which plans can be dropped


def pieces(part: Part, batch_size: int) -> list[Part]:
    """The samples in a few parts whose batches are those of the whole."""
    batches = -(-len(part) // batch_size)
    edges = [0, *sorted({round(end * batches) * batch_size for end in ENDS} - {0})]
    return [part.between(start, stop) for start, stop in pairwise(edges)]


class EarlyScores:
    """The qualities that an evaluator of all samples gives, but for plans that are dropped on the way.

    ``evaluators`` score the parts of the samples, in their order.
    """

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators
        self._samples = sum(len(evaluator.part) for evaluator in evaluators)

    def evaluate(self, plans: Sequence[Plan], can_matter: CanMatter, *, loss: bool) -> list[Quality]:
        """Score ``plans``; of those that are dropped, ``correct`` and ``loss`` are bounds."""
        done: dict[int, Quality] = {}
        going = {position: Quality(0, 0, 0.0 if loss else None) for position in range(len(plans))}
        for evaluator in self._evaluators:
            found = evaluator.evaluate([plans[position] for position in going], loss=loss)
            for position, quality in zip(list(going), found, strict=True):
                total = _sum(going[position], quality)
                bound = self._bound(total)
                is_last = total.samples == self._samples
                if total.failure is not None or is_last:
                    done[position] = bound
                elif not can_matter(position, _metrics(bound)):
                    done[position] = bound.dropped(total.samples)
                else:
                    going[position] = total
                    continue
                del going[position]
        return [done[position] for position in range(len(plans))]

    def _bound(self, seen: Quality) -> Quality:
        """The best that a plan can reach whose first samples gave this."""
        left = self._samples - seen.samples
        mean = None if seen.loss is None else seen.loss * seen.samples / self._samples
        return Quality(seen.correct + left, self._samples, mean, seen.failure)


def _sum(before: Quality, more: Quality) -> Quality:
    samples = before.samples + more.samples
    loss = None
    if before.loss is not None and more.loss is not None:
        loss = (before.loss * before.samples + more.loss * more.samples) / samples
    return Quality(before.correct + more.correct, samples, loss, more.failure)


def _metrics(bound: Quality) -> dict[str, float]:
    return {"accuracy": bound.accuracy} | ({} if bound.loss is None else {"loss": bound.loss})
