"""Plans and metrics in few words."""

from collections.abc import Mapping

from narrower.formats.fixed import FixedPoint
from narrower.formats.float32 import FLOAT32
from narrower.formats.stored_each import StoredEach
from narrower.formats.text import parse_format
from narrower.plan import OPERANDS
from narrower.searching.objective import unit_of

SHARES = ("accuracy",)  # shown in percent


def short_plan(plan: Mapping[str, Mapping[str, str | float]]) -> str:
    """A plan in one cell: layer, then data/weight/bias widths in bits."""
    return "; ".join(f"{layer} {short_layer(table)}" for layer, table in plan.items())


def short_layer(table: Mapping[str, str | float]) -> str:
    """The data/weight/bias widths of one layer in bits, and its multiplier of channels where it has one.

    Where each entry has its own width, it is the mean. What else is neither fixed point nor float32 has its
    text instead, and unsigned numbers a "u".
    """
    bits = "/".join(_short_format(str(table.get(operand, FLOAT32.text))) for operand in OPERANDS)
    if "width" not in table:
        return bits
    return f"{bits} ×{table['width']:g}" if set(table) & set(OPERANDS) else f"×{table['width']:g}"


def _short_format(text: str) -> str:
    number_format = parse_format(text)
    if isinstance(number_format, StoredEach):
        return f"{number_format.mean_bits:.3g}"
    if isinstance(number_format, FixedPoint):
        return f"{'' if number_format.signed else 'u'}{number_format.bits:g}"
    return f"{number_format.bits:g}" if number_format == FLOAT32 else text


def metric_name(metric: str) -> str:
    """The name of a metric for people."""
    return metric.rpartition(":")[2].replace("_", " ")


def metric_value(metric: str, value: float) -> str:
    """A value as people read it: 65.3 %, 12,928, 7.31 bits, 11.3 us."""
    if metric in SHARES:
        return percent(value)
    unit = unit_of(metric)
    number = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1e5 else f"{value:.4g}"  # noqa: PLR2004
    return f"{number} {unit}" if unit in ("bytes", "bits", "us") else number


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def with_interval(share: float | None, interval: tuple[float, float] | None) -> str:
    """A share and its interval in percent: 65.3 % (64.3–66.3); a dash where it is not known."""
    if share is None or interval is None:
        return "–"
    return f"{percent(share)} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def points(difference: float) -> str:
    """A difference of accuracies in percentage points."""
    return f"{100 * difference:.2f} points"


def count(number: int) -> str:
    """A whole number with separators; a huge one by its order of magnitude."""
    digits = str(number)
    return f"{number:,}" if len(digits) <= 9 else f"about {digits[0]} × 10^{len(digits) - 1}"  # noqa: PLR2004
