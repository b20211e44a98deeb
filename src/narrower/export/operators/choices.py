"""Comparisons, truth values and what is chosen by them, as ONNX operators."""

import torch
from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.translation import Rule, Translation, common_type, type_of


def _compare(operator: str, *, negated: bool = False) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        kind = common_type(*node.args[:2])
        kind = torch.int64 if kind == torch.bool else kind
        found = t.emit(operator, *(t.name(operand, kind) for operand in node.args[:2]))
        return t.emit("Not", found) if negated else found

    return rule


def _logical(operator: str) -> Rule:
    def rule(t: Translation, node: fx.Node) -> str:
        if type_of(node) != torch.bool:
            raise ExportError(f"no rule for {node.target} of whole numbers ({node.name})")
        return t.emit(operator, *(t.name(operand, torch.bool) for operand in node.args))

    return rule


def _where(t: Translation, node: fx.Node) -> str:
    if len(node.args) != 3:  # noqa: PLR2004 - condition, and both values
        raise ExportError(f"no rule for the positions where a condition holds ({node.name})")
    condition, one, other = node.args
    kind = type_of(node)
    return t.emit("Where", t.name(condition, torch.bool), t.name(one, kind), t.name(other, kind))


def _masked_fill(t: Translation, node: fx.Node) -> str:
    x, mask, value = node.args
    kind = type_of(node)
    return t.emit("Where", t.name(mask, torch.bool), t.name(value, kind), t.name(x, kind))


def _cast(t: Translation, node: fx.Node) -> str:
    return t.name(node.args[0], type_of(node))


CHOICES: dict[str, Rule] = {
    "eq": _compare("Equal"),
    "ne": _compare("Equal", negated=True),
    "lt": _compare("Less"),
    "le": _compare("LessOrEqual"),
    "gt": _compare("Greater"),
    "ge": _compare("GreaterOrEqual"),
    "__and__": _logical("And"),
    "__or__": _logical("Or"),
    "__xor__": _logical("Xor"),
    "bitwise_and": _logical("And"),
    "bitwise_or": _logical("Or"),
    "bitwise_xor": _logical("Xor"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "bitwise_not": _logical("Not"),
    "logical_not": _logical("Not"),
    "isnan": lambda t, node: t.emit("IsNaN", t.name(node.args[0])),
    "where": _where,
    "masked_fill": _masked_fill,
    "_to_copy": _cast,
    "to": _cast,
    "type_as": _cast,
}
