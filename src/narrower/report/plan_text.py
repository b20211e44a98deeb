"""Plans and metrics in few words."""

import re
from collections.abc import Mapping, Sequence

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.stored_each import StoredEach
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import OPERANDS, OUTPUT
from narrower.searching.objective import unit_of
from narrower.tasks.catalogue import task_metrics

LAYERS_IN_A_CELL = 16  # that are named one by one
NAMES_IN_A_CELL = 3  # of layers with the same formats
LONG_NUMBERS = re.compile(r"((?<=\()|,)(scale|zero|threshold|axis|fracs|saturating)=[^,)]+")


def is_share(metric: str) -> bool:
    """Whether a metric is shown in percent."""
    listed = task_metrics().get(metric)
    return listed is not None and listed.is_share


def short_plan(plan: Mapping[str, Mapping[str, str | float]]) -> str:
    """A plan in one cell: layer, then data/weight/bias widths in bits.

    Of many layers, those with the same formats stand together, and more than a few of them are counted.
    """
    texts = {layer: short_layer(table) for layer, table in plan.items()}
    if len(texts) <= LAYERS_IN_A_CELL:
        return "; ".join(f"{layer} {text}" for layer, text in texts.items())
    groups: dict[str, list[str]] = {}
    for layer, text in texts.items():
        groups.setdefault(text, []).append(layer)
    return "; ".join(
        f"{_layers(groups[text])} {text}" for text in sorted(groups, key=lambda t: -len(groups[t]))
    )


def _layers(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMES_IN_A_CELL else f"{len(names)} layers"


def short_layer(table: Mapping[str, str | float]) -> str:
    """The data/weight/bias widths of one layer in bits, and its multiplier of channels where it has one.

    Where each entry has its own width, it is the mean. What else is neither fixed point nor float32 has its
    text instead, without what is found from data, and unsigned numbers have a "u". What is rounded where it
    is written stands behind an arrow.
    """
    parts = []
    if set(table) & set(OPERANDS) or not table:
        parts.append("/".join(short_format(str(table.get(operand, FLOAT32.text))) for operand in OPERANDS))
    if OUTPUT in table:
        parts.append(f"→{short_format(str(table[OUTPUT]))}")
    if "width" in table:
        parts.append(f"×{table['width']:g}")
    return " ".join(parts)


def plan_line(plan: Mapping[str, Mapping[str, str | float]]) -> str:
    """All layers of a plan in one line, each as ``short_layer`` shows it."""
    return ", ".join(f"{layer} {short_layer(table)}" for layer, table in plan.items()) or "unchanged"


def short_format(text: str) -> str:
    """The bits of fixed point and float32, the text of other formats."""
    number_format = parse_format(text)
    if isinstance(number_format, StoredEach):
        return f"{number_format.mean_bits:.3g}"
    if isinstance(number_format, FixedPoint):
        return f"{'' if number_format.signed else 'u'}{number_format.bits:g}"
    return (
        f"{number_format.bits:g}"
        if number_format == FLOAT32
        else LONG_NUMBERS.sub("", text).replace("(,", "(").replace("()", "")
    )


def metric_name(metric: str) -> str:
    """The name of a metric for people."""
    return metric.rpartition(":")[2].replace("_", " ")


def metric_value(metric: str, value: float) -> str:
    """A value as people read it: 65.3 %, 12,928, 7.31 bits, 11.3 us."""
    if is_share(metric):
        return percent(value)
    unit = unit_of(metric)
    number = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1e5 else f"{value:.4g}"  # noqa: PLR2004
    return f"{number} {unit}" if unit in ("bytes", "bits", "us") else number


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def with_interval(metric: str, value: float | None, interval: tuple[float, float] | None) -> str:
    """A value and its interval: 65.3 % (64.3–66.3), 0.512 (0.49–0.53); a dash where it is not known."""
    if value is None or interval is None:
        return "–"
    low, high = interval
    if is_share(metric):
        return f"{percent(value)} ({100 * low:.1f}–{100 * high:.1f})"
    return f"{metric_value(metric, value)} ({_span(low, high)})"


def objective_text(metric: str, value: float, interval: tuple[float, float] | None) -> str:
    """A value, and its interval where there is one."""
    return metric_value(metric, value) if interval is None else with_interval(metric, value, interval)


def interval_text(metric: str, interval: tuple[float, float] | None) -> str:
    """An interval: 64.3–66.3 %, 0.49–0.53."""
    if interval is None:
        return "not known"
    low, high = interval
    return f"{100 * low:.1f}–{percent(high)}" if is_share(metric) else _span(low, high)


def _span(low: float, high: float) -> str:
    """From one number to another; a dash before a minus cannot be told from two."""
    return f"{low:.3g}{' to ' if min(low, high) < 0 else '–'}{high:.3g}"


def effect_scale(metric: str) -> tuple[float, str]:
    """What differences of a metric are multiplied with in figures, and the unit that they then have."""
    return (100.0, "percentage points") if is_share(metric) else (1.0, unit_of(metric))


def difference_text(metric: str, difference: float) -> str:
    """A difference between values of a metric: of shares in percentage points."""
    return f"{100 * difference:.2f} points" if is_share(metric) else metric_value(metric, difference)


def count(number: int) -> str:
    """A whole number with separators; a huge one by its order of magnitude."""
    digits = str(number)
    return f"{number:,}" if len(digits) <= 9 else f"about {digits[0]} × 10^{len(digits) - 1}"  # noqa: PLR2004
