"""Warnings for what is searched although no objective and no constraint can see it."""

from narrower.preparation.settings import CandidateSettings
from narrower.searching.objective import ARTEFACT_METRICS, CLOCKED_METRICS, DEVICE_METRICS
from narrower.searching.space import widest_of
from narrower.study.problem import Problem

WEIGHT_COSTS = ("bitops", "energy", "model_size", "average_bitwidth", "memory_density")


def unseen_widths(problem: Problem) -> list[str]:
    """Warnings for what is searched although no objective and no constraint can see it."""
    sees = {
        "data_in_width": {"bitops", "energy", *ARTEFACT_METRICS},
        "weight_width": {*WEIGHT_COSTS, *ARTEFACT_METRICS},
        "bias_width": {"model_size", "luts", *CLOCKED_METRICS, *DEVICE_METRICS},
        "channel_multiplier": {"macs", "flops", "bitops", "energy", "model_size", "ebops"},
    }
    return (
        problem.ending_warnings
        + _untraced(problem)
        + _extrapolated(problem)
        + _useless_growth(problem)
        + [
            f"{key} is searched in {count} layers, but no objective or constraint sees these bits: "
            f"they look free (metrics that see them: {', '.join(sorted(metrics))})"
            for key, metrics in sees.items()
            if (count := _searched(problem, key)) and not metrics & problem.seen_metrics
        ]
    )


def _untraced(problem: Problem) -> list[str]:
    untraced = problem.program.untraced
    if untraced is None:
        return []
    return [
        f"{untraced.reason}; its plans are scored module by module; costs are those of the modules "
        "that it calls for the first samples, and it cannot be exported"
    ]


def _extrapolated(problem: Problem) -> list[str]:
    """Energy of widths that the table does not have."""
    if "energy" not in problem.seen_metrics:
        return []
    return [
        "energy: the source has 8 x 8 and 32 x 32 bits and float32 (45 nm, Horowitz 2014); for all other "
        "widths it is an extrapolation"
    ]


def _useless_growth(problem: Problem) -> list[str]:
    settings = problem.preparation
    grows = any(widest > 1 for slot in problem.space.slots for widest in widest_of(slot).values())
    cuts = isinstance(settings, CandidateSettings) and settings.weights == "slice"
    if not (cuts and grows) or settings.trains_float32:
        return []
    return [
        "multipliers above 1 add channels with random weights, and nothing is trained; "
        "weights = 'net2net' keeps the outputs when growing"
    ]


def _searched(problem: Problem, key: str) -> int:
    choices = problem.space.choices
    return sum(choice.name.endswith(f".{key}") and len(choice.values) > 1 for choice in choices)
