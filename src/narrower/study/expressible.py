"""Whether artefacts can express the operators and formats of a search, checked before the first trial."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from narrower.errors import ExportError, Mistakes
from narrower.graph.lower import lower
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import OPERANDS, ROUNDED, LayerPlan, Plan
from narrower.searching.objective import ARTEFACT_METRICS, DEVICE_METRICS
from narrower.searching.space import Space

if TYPE_CHECKING:
    from narrower.graph.program import Program
    from narrower.study.problem import Problem

STRATEGY = "search.strategy"
SHOWN = 3  # reasons
# Operators that are written whatever surrounds them: where there are no others, nothing needs to be tried.
WRITTEN = frozenset({"linear", "batch_norm", "relu", "tanh", "sigmoid", "dropout"})


def export_notes(program: "Program") -> tuple[str, ...]:
    """One sentence where a network that is searched cannot be written as ONNX; a model without a graph has a
    warning already.
    """
    if program.untraced is not None or {o.kind for o in program.network.operators} <= WRITTEN:
        return ()
    from narrower.export.rehearsal import unexported  # the package onnx takes a while

    reasons = unexported(lower(program))
    return (f"export to ONNX will not be possible: {_listed(reasons)}",) if reasons else ()


def check_expressible(problem: "Problem") -> None:
    """Check that what every plan is measured by can be had of this network.

    Raises:
        SettingsError: beginning with the keys of the metrics.
    """
    named = {c.metric: "constraints" for c in problem.constraints}
    named |= {o.metric: "metrics" for o in problem.objectives.each}
    mistakes = Mistakes()
    for metric in ARTEFACT_METRICS:
        if metric in named and (reason := _refusal(problem, metric)):
            mistakes.found.append(
                f"{STRATEGY}.{named[metric]}.{metric}: no plan of {problem.model_name} has it: {reason}"
            )
    mistakes.check()


def _refusal(problem: "Problem", metric: str) -> str | None:
    if metric == "latency":
        from narrower.export.rehearsal import unexported

        return _listed(unexported(problem.subject.lowered)) or None
    if metric in DEVICE_METRICS:
        return _refusal_of_c(problem)
    from narrower.export.integer_network import Chain

    try:
        Chain(problem.subject.lowered, Plan.of(_logical_layers(problem.space)))
    except ExportError as error:
        return str(error)
    return None


def _refusal_of_c(problem: "Problem") -> str | None:
    from narrower.export.device.network import c_network
    from narrower.export.device.roundings import refused_data

    found: dict[str, dict[str, NumberFormat]] = {}
    for slot in problem.space.slots:
        for layer, plan in (pair for option in slot.examples for pair in slot.fragment(option)):
            for part in ROUNDED:
                chosen = getattr(plan, part)
                if chosen != FLOAT32 and (part in OPERANDS[1:] or refused_data(chosen) is None):
                    found.setdefault(layer, {}).setdefault(part, chosen)
    layers = {
        layer: LayerPlan(**{part: parts.get(part, FLOAT32) for part in ROUNDED})  # type: ignore[arg-type]
        for layer, parts in found.items()
    }
    try:
        c_network(problem.subject.lowered, Plan.of(layers).formats, "network")
    except ExportError as error:
        return str(error)
    return None


def _logical_layers(space: Space) -> Mapping[str, LayerPlan]:
    """For each layer the first of its choices that logic can hold, if there is one."""
    from narrower.export.formats.catalogue import refusal

    def fits(plan: LayerPlan) -> bool:
        is_whole = plan.weight.grid is not None or isinstance(plan.weight, FixedChannels)
        return is_whole and refusal(plan.data, "verilog") is None

    return _chosen(space, fits)


def _chosen(space: Space, fits: Callable[[LayerPlan], bool]) -> Mapping[str, LayerPlan]:
    """For each layer the first of its choices that fits, if there is one."""
    found: dict[str, LayerPlan] = {}
    for slot in space.slots:
        for option in slot.examples:
            for layer, plan in slot.fragment(option):
                if fits(plan):
                    found.setdefault(layer, plan)
            if all(layer in found for layer in slot.layers):
                break
    return found


def _listed(reasons: tuple[str, ...]) -> str:
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    return "; ".join(reasons[:SHOWN]) + more
