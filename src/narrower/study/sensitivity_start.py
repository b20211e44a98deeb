"""With which plans the guided sampler begins where it is to know which layers bear fewer bits."""

from collections.abc import Sequence

from narrower.errors import SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.searching.known import Known
from narrower.searching.objective import ARTEFACT_METRICS, is_cost
from narrower.searching.samplers.sampler import Losses
from narrower.searching.samplers.sensitivity import Sensitivity
from narrower.searching.samplers.sensitivity_first import sensitivity_plans
from narrower.searching.space import Options
from narrower.study.problem import Problem
from narrower.tasks.task import LOSS

SCORED_ON = 512  # samples
KEY = "search.strategy.setup.sensitivity_first"


def check_sensitivity_first(problem: Problem) -> None:
    """Check that single options can be scored to begin with, where that is asked for.

    Raises:
        SettingsError: beginning with the key.
    """
    if not problem.options.sensitivity_first:
        return
    if problem.options.sampler != "guided":
        raise SettingsError(f"{KEY}: it is for the sampler 'guided', not {problem.options.sampler!r}")
    if not problem.shares_weights:
        raise SettingsError(
            f"{KEY}: plans have weights of their own, and which layers bear fewer bits is seen with the "
            "weights of the model; allowed: false"
        )
    measured = [o.metric for o in problem.objectives.each if not is_cost(o.metric)]
    if set(measured) & set(ARTEFACT_METRICS):
        raise SettingsError(f"{KEY}: {measured[0]} is measured on artefacts, not on data; allowed: false")
    try:
        Sensitivity(problem.space, 0, _known(problem))
    except SettingsError as error:
        text = (
            str(error).replace("the sampler 'sensitivity'", "it").replace("; 'guided' takes any number", "")
        )
        raise SettingsError(f"{KEY}: {text}") from None


def first_plans(problem: Problem, batch_size: int) -> list[Options]:
    """The plans to begin with; none where the sampler begins as it likes.

    Single options are scored on the first samples; the same plans follow whenever a search is resumed.
    """
    if not problem.options.sensitivity_first:
        return []
    evaluator = Evaluator(
        problem.subject.lowered,
        problem.part.first(min(SCORED_ON, len(problem.part))),
        batch_size=batch_size,
        own_metrics=problem.own_metrics,
    )
    wants_loss = LOSS in {o.metric for o in problem.objectives.each}

    def score(asked: Sequence[Options]) -> list[Losses | None]:
        plans = [problem.space.plan(options).formats for options in asked]
        costs = problem.costs.of(asked)
        return [
            None
            if quality.failure is not None
            else problem.objectives.losses(
                {**{name: float(column[row]) for name, column in costs.items()}, **quality.metrics}
            )
            for row, quality in enumerate(evaluator.evaluate(plans, loss=wants_loss))
        ]

    return sensitivity_plans(problem.space, _known(problem), score)


def _known(problem: Problem) -> Known:
    return Known(problem.costs, problem.objectives, problem.constraints)
