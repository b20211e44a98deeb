"""The sampler that the options of a search name, with what it knows before it begins."""

from narrower.searching.known import Known
from narrower.searching.samplers.build import build_sampler
from narrower.searching.samplers.sampler import Sampler
from narrower.searching.samplers.share import Share, share_size
from narrower.searching.samplers.uniform_first import UniformFirst
from narrower.store.trials import TrialStore
from narrower.study.problem import Problem
from narrower.study.run_facts import BATCH_SIZE_FACT, whole_number
from narrower.study.sensitivity_start import first_plans


def chosen_sampler(problem: Problem, store: TrialStore, given: Sampler | None) -> tuple[Sampler, int]:
    """What proposes plans, ``given`` or of the options, and how many are wanted of it."""
    options = problem.options
    sampler = given
    if sampler is None:
        built = build_sampler(
            options.sampler,
            problem.space,
            seed=options.seed,
            wanted=problem.wanted_trials,
            known=Known(problem.costs, problem.objectives, problem.constraints),
            first=first_plans(problem, whole_number(store.facts(), BATCH_SIZE_FACT)),
        )
        sampler = UniformFirst(built, problem.space) if options.uniform_first else built
    if options.part is None:
        return sampler, problem.wanted_trials
    return Share(sampler, *options.part), share_size(problem.wanted_trials, *options.part)
