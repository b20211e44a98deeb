"""How plans that were searched are trained afterwards: all of them to the end, or in rounds."""

from dataclasses import dataclass
from math import ceil

from narrower.errors import SettingsError
from narrower.training.recipe import Recipe

FLOAT = Recipe()
UNTRAINED = "untrained"  # the order of what a search measured, without training
KEPT = 4  # of as many plans one goes on to the next round, which trains as many times as long
MOST = 2  # of as many plans one goes on at most


@dataclass(frozen=True, slots=True)
class Finetuning:
    """``rounds`` above 1: successive halving (Jamieson and Talwalkar, 2016) by non-dominated rank.

    ``seeds`` above 1: the members of the front after are trained with as many seeds, to see how far apart
    their trainings end. ``folds`` above 1: plans are scored by cross-validation; each fold has a float model
    of its own, trained by ``float_recipe`` from parameters that are drawn anew. ``order`` names what chooses
    the quarter of the plans that is trained at all, without training any: a zero-cost proxy, or what the
    search measured ("untrained"); without it all are.
    """

    recipe: Recipe
    rounds: int = 1
    seeds: int = 1
    folds: int = 1
    float_recipe: Recipe = FLOAT
    order: str | None = None

    def __post_init__(self) -> None:
        for name in ("rounds", "seeds", "folds"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected a whole number from 1, found {getattr(self, name)}")
        if self.rounds > 1 and self.recipe.chooses:
            raise SettingsError(
                "rounds: plans go on where they stopped, whatever epoch was best; allowed with rounds: "
                "patience = 0, and a schedule other than 'plateau'"
            )
        if self.folds > 1 and (self.rounds > 1 or self.seeds > 1):
            other = "rounds" if self.rounds > 1 else "seeds"
            raise SettingsError(
                f"folds: found {self.folds} with {other} = {getattr(self, other)}; a plan is trained in each "
                f"fold already; allowed with folds: {other} = 1"
            )

    def stops(self, steps: int) -> list[int]:
        """After how many of all steps each round stops."""
        return [ceil(steps / KEPT ** (self.rounds - 1 - number)) for number in range(self.rounds)]

    def survivors(self, count: int) -> tuple[int, int]:
        """How many of so many plans go on, and how many at most if no other dominates them."""
        return ceil(count / KEPT), ceil(count / MOST)
