"""The learning rate of each step, as a share of the recipe's."""

from math import cos, pi

from narrower.training.recipe import Recipe

RISING = 0.3  # share of the steps in which the rate of one_cycle rises (Smith, 2018)
FIRST, LAST = 1 / 25, 1e-4  # of the largest rate, at the ends of one_cycle; the second of the first
SHRINK, PATIENCE = 0.5, 2  # of plateau: the factor, and the epochs without a lower loss


def rate_share(recipe: Recipe, step: int, steps: int) -> float:
    """The share at ``step`` of ``steps``, counted from 0; that of ``Plateau`` comes on top.

    Warm-up multiplies whatever the schedule says.
    """
    share = _scheduled(recipe, step, max(1, steps))
    if step < recipe.warmup_steps:
        share *= (step + 1) / (recipe.warmup_steps + 1)
    return share


def _scheduled(recipe: Recipe, step: int, steps: int) -> float:
    done = min(step / steps, 1.0)
    if recipe.schedule == "cosine":
        return _cosine(done)
    if recipe.schedule == "cosine_restarts":
        return _cosine(done * recipe.cycles % 1.0 if done < 1 else 1.0)
    if recipe.schedule == "linear":
        return 1 - done
    if recipe.schedule == "one_cycle":
        if done < RISING:
            return FIRST + (1 - FIRST) * (1 - _cosine(done / RISING))
        last = FIRST * LAST
        return last + (1 - last) * _cosine((done - RISING) / (1 - RISING))
    return 1.0


def _cosine(done: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov and Hutter, 2017)."""
    return (1 + cos(pi * done)) / 2


class Plateau:
    """Halves the rate after some epochs whose loss on the choosing samples is no lower than the best."""

    def __init__(self) -> None:
        self.share, self.best, self.epochs_since = 1.0, float("inf"), 0

    def see(self, loss: float) -> None:
        """Take note of an epoch's loss."""
        if loss < self.best:
            self.best, self.epochs_since = loss, 0
            return
        self.epochs_since += 1
        if self.epochs_since > PATIENCE:
            self.share, self.epochs_since = self.share * SHRINK, 0
