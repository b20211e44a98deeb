"""Functions of one number that C has as tables, with the rounding behind them."""

from collections.abc import Mapping, Sequence

from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.device.roundings import DataRounding, OnEach, OnGrid, Scaled
from narrower.export.device.thresholds import Thresholds, thresholds
from narrower.graph.arguments import argument
from narrower.graph.nodes import base_name
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize

NOT_MONOTONE = frozenset({"abs", "maximum"})
TURNING = frozenset({"silu", "hardswish", "mish", "gelu"})
# Where functions that fall before they rise have their least value.
TURNS = {"silu": -1.2784645, "hardswish": -1.5, "mish": -1.1924310}
GELU_TURNS = {"none": -0.7517916, "tanh": -0.7524613}
WIDEST = 24  # bits of a table's values before they wrap


def lookup(
    first: fx.Node,
    chain: Sequence[fx.Node],
    constants: Mapping[fx.Node, Tensor],
    form: NumberFormat,
    rounding: DataRounding,
) -> Thresholds:
    """The table of a chain of operators that reads ``first``, rounded into ``form``.

    Raises:
        ExportError: something between is no function of one number, or there are too many values.
    """
    name = chain[0].name
    if isinstance(rounding, OnEach):
        raise ExportError(f"{name}: it is read in {form.text}; tables are for one grid")
    read: NumberFormat = form
    wraps = isinstance(rounding, OnGrid) and rounding.wrap
    if wraps:
        assert isinstance(form, FixedPoint)
        read = FixedPoint(WIDEST, form.frac, rounding=form.rounding)
    operators = [
        _Operator(node, before, constants) for node, before in zip(chain, (first, *chain), strict=False)
    ]

    def composed(x: Tensor) -> Tensor:
        for operator in operators:
            x = operator(x)
        if isinstance(rounding, Scaled):
            return x.mul(rounding.factor).round_().clamp_(rounding.low, rounding.high)
        return quantize(x, read)

    table = thresholds(composed, rounding.number.frac, _turns(chain))
    if table is None:
        raise ExportError(f"{name}: it is rounded to {form.text}: too many values for a table")
    if not wraps:
        return table
    assert isinstance(rounding, OnGrid)
    span = rounding.high - rounding.low + 1
    return Thresholds(table.keys, (table.values - rounding.low) % span + rounding.low)


def _turns(chain: Sequence[fx.Node]) -> tuple[float, ...]:
    """Where the first function of a chain turns back; those behind it must not."""
    first, *others = chain
    for node in others:
        if base_name(node) in TURNING:
            raise ExportError(f"{node.name}: it follows a table and turns back; C has no rule for that")
    if base_name(first) == "gelu":
        return (GELU_TURNS[str(argument(first, "approximate"))],)
    return (TURNS[base_name(first)],) if base_name(first) in TURNS else ()


class _Operator:
    """One operator on numbers that all have the same constants beside them."""

    def __init__(self, node: fx.Node, before: fx.Node, constants: Mapping[fx.Node, Tensor]) -> None:
        self._node, self._before, self._constants = node, before, constants
        held = [a for a in node.all_input_nodes if a is not before]
        if base_name(node) in NOT_MONOTONE:
            raise ExportError(f"{node.name}: it follows a table and turns back; C has no rule for that")
        if any(a not in constants for a in held) or sum(a is before for a in node.args) != 1:
            raise ExportError(f"{node.name}: two computed values meet behind a table; C has no rule for that")
        if any(constants[a].numel() != 1 for a in held):
            raise ExportError(f"{node.name}: numbers of each channel follow a table; C has no rule for that")

    def __call__(self, x: Tensor) -> Tensor:
        arguments = [x if a is self._before else self._held(a) for a in self._node.args]
        result: Tensor = self._node.target(*arguments, **self._node.kwargs)  # type: ignore[operator]
        return result

    def _held(self, argument: object) -> object:
        return self._constants[argument].reshape(()) if isinstance(argument, fx.Node) else argument
