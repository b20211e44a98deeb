"""Sums, means, extremes and norms over dimensions, as ONNX operators."""

from collections.abc import Callable, Sequence
from math import inf, prod

import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import (
    Rule,
    Translation,
    Value,
    axis_of,
    has_argument,
    rank_of,
    type_of,
    whole_size,
)
from narrower.graph.arguments import argument

AXES_ARE_AN_INPUT = 18  # from this opset on; those of ReduceSum always are


def reduced(t: Translation, operator: str, x: str, axes: Sequence[int], *, keeps: bool) -> str:
    """A reduction over some dimensions; over none it changes nothing."""
    if not axes:
        return x
    if t.opset >= AXES_ARE_AN_INPUT or operator == "ReduceSum":
        return t.emit(operator, x, t.integers(*axes), keepdims=int(keeps))
    return t.emit(operator, x, axes=list(axes), keepdims=int(keeps))


def _axes(node: fx.Node) -> list[int]:
    """The dimensions that a node reduces; all of them where it names none."""
    rank = rank_of(node.args[0])
    given = argument(node, "dim") if has_argument(node, "dim") else None
    if given is None or given == []:
        return list(range(rank))
    return [axis_of(axis, rank) for axis in ([given] if isinstance(given, int) else given)]


def _keeps(node: fx.Node) -> bool:
    return bool(has_argument(node, "keepdim") and argument(node, "keepdim"))


def _reduce(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        x = t.name(node.args[0], type_of(node))
        return reduced(t, operator, x, _axes(node), keeps=_keeps(node))

    return rule


def _extreme(operator: str) -> Rule:
    """Of max and min over a dimension the values and where they are; of two tensors the larger ones."""

    def rule(t: Translation, node: fx.Node) -> Value:
        overload = str(node.target).rpartition(".")[2]
        if overload == "other":
            return t.emit(operator, *(t.name(operand, type_of(node)) for operand in node.args))
        x, axes, keeps = t.name(node.args[0]), _axes(node), _keeps(node)
        found = reduced(t, f"Reduce{operator}", x, axes, keeps=keeps)
        if overload != "dim":
            return found
        return found, t.emit(f"Arg{operator}", x, axis=axes[0], keepdims=int(keeps))

    return rule


def _place(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        x, keeps = t.name(node.args[0]), _keeps(node)
        if argument(node, "dim") is None:
            return t.emit(operator, t.emit("Reshape", x, t.integers(-1)), axis=0, keepdims=0)
        return t.emit(operator, x, axis=_axes(node)[0], keepdims=int(keeps))

    return rule


def _spread(t: Translation, node: fx.Node) -> tuple[str, str]:
    """Variance and mean, both with the reduced dimensions where the node keeps them."""
    x, axes, keeps = t.name(node.args[0]), _axes(node), _keeps(node)
    count = prod(whole_size(node.args[0], axis) for axis in axes)
    correction: object = 1
    if has_argument(node, "correction"):
        correction = argument(node, "correction")
    elif has_argument(node, "unbiased"):
        correction = int(argument(node, "unbiased"))
    freedom = count - (1 if correction is None else correction)  # type: ignore[operator]
    mean = reduced(t, "ReduceMean", x, axes, keeps=True)
    apart = t.emit("Sub", x, mean)
    total = reduced(t, "ReduceSum", t.emit("Mul", apart, apart), axes, keeps=keeps)
    shown = mean if keeps else reduced(t, "ReduceMean", x, axes, keeps=False)
    return t.emit("Div", total, t.number(freedom)), shown


def _norm(t: Translation, node: fx.Node) -> str:
    order = argument(node, "ord")
    x, axes, keeps = t.name(node.args[0]), _axes(node), _keeps(node)
    if order not in NORMS_BY_ORDER:
        raise ExportError(f"no rule for a norm of order {order} ({node.name})")
    return NORMS_BY_ORDER[order](t, x, axes, keeps)


NORMS_BY_ORDER: dict[float, Callable[[Translation, str, list[int], bool], str]] = {
    1: lambda t, x, axes, keeps: reduced(t, "ReduceL1", x, axes, keeps=keeps),
    2: lambda t, x, axes, keeps: reduced(t, "ReduceL2", x, axes, keeps=keeps),
    inf: lambda t, x, axes, keeps: reduced(t, "ReduceMax", t.emit("Abs", x), axes, keeps=keeps),
}


def _cosine(t: Translation, node: fx.Node) -> str:
    """The product of both, each divided by its length."""
    axis, eps = [argument(node, "dim")], t.number(argument(node, "eps"))
    unit = []
    for operand in node.args[:2]:
        x = t.name(operand)
        length = reduced(t, "ReduceL2", x, axis, keeps=True)
        unit.append(t.emit("Div", x, t.emit("Max", length, eps)))
    return reduced(t, "ReduceSum", t.emit("Mul", *unit), axis, keeps=False)


def _truth(operator: str) -> Rule:
    """Whether any, or all, of the values hold."""

    def rule(t: Translation, node: fx.Node) -> str:
        numbers = t.cast(t.name(node.args[0], torch.bool), torch.bool, torch.int32)
        found = reduced(t, operator, numbers, _axes(node), keeps=_keeps(node))
        return t.cast(found, torch.int32, torch.bool)

    return rule


def _running_sum(t: Translation, node: fx.Node) -> str:
    axis = t.integers(argument(node, "dim"))
    return t.emit("CumSum", t.name(node.args[0], type_of(node)), axis)


REDUCTIONS: dict[str, Rule] = {
    "sum": _reduce("ReduceSum"),
    "mean": _reduce("ReduceMean"),
    "prod": _reduce("ReduceProd"),
    "amax": _reduce("ReduceMax"),
    "amin": _reduce("ReduceMin"),
    "max": _extreme("Max"),
    "min": _extreme("Min"),
    "argmax": _place("ArgMax"),
    "argmin": _place("ArgMin"),
    "logsumexp": _reduce("ReduceLogSumExp"),
    "var": lambda t, node: _spread(t, node)[0],
    "std": lambda t, node: t.emit("Sqrt", _spread(t, node)[0]),
    "var_mean": _spread,
    "std_mean": lambda t, node: (t.emit("Sqrt", _spread(t, node)[0]), _spread(t, node)[1]),
    "linalg_vector_norm": _norm,
    "cosine_similarity": _cosine,
    "any": _truth("ReduceMax"),
    "all": _truth("ReduceMin"),
    "cumsum": _running_sum,
}
