"""How plans that were searched are trained afterwards: all of them to the end, or in rounds."""

from dataclasses import dataclass
from math import ceil

from narrower.errors import SettingsError
from narrower.training.recipe import Recipe

KEPT = 4  # of as many plans one goes on to the next round, which trains as many times as long


@dataclass(frozen=True, slots=True)
class Finetuning:
    """``rounds`` above 1: successive halving (Jamieson and Talwalkar, 2016) by non-dominated rank."""

    recipe: Recipe
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.rounds > 1 and self.recipe.chooses:
            raise SettingsError(
                "rounds: plans go on where they stopped, whatever epoch was best; allowed with rounds: "
                "patience = 0, and a schedule other than 'plateau'"
            )

    def stops(self, steps: int) -> list[int]:
        """After how many of all steps each round stops."""
        return [ceil(steps / KEPT ** (self.rounds - 1 - number)) for number in range(self.rounds)]

    def survivors(self, count: int) -> int:
        """How many of so many plans go on."""
        return ceil(count / KEPT)
