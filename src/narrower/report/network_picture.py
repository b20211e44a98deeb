"""The network as boxes and lines in SVG, with the bits of each layer under a plan."""

from collections.abc import Mapping, Sequence
from html import escape

from narrower.report.plan_text import short_layer
from narrower.report.record import DrawnOperator
from narrower.searching.space_record import PlanTables

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, EDGE = 232, 44, 18, 22, 8
MOST_OPERATORS = 400  # more make a picture that nobody reads
LONGEST = 32  # characters of a line in a box


def network_picture(operators: Sequence[DrawnOperator], plan: PlanTables, label: str) -> str:
    """An SVG: operators from the top to the bottom, those that do not wait for each other side by side.

    Boxes of quantized layers say data/weight/bias bits and are coloured; the title of each box has its shape.
    """
    rows = _rows(operators)
    place = {
        operator.name: (column, row) for row, some in enumerate(rows) for column, operator in enumerate(some)
    }
    width = 2 * EDGE + max(map(len, rows)) * (BOX_WIDTH + GAP_X) - GAP_X
    height = 2 * EDGE + len(rows) * (BOX_HEIGHT + GAP_Y) - GAP_Y
    lines = [
        _line(place[source], place[operator.name])
        for operator in operators
        for source in operator.inputs
        if source in place
    ]
    boxes = [_box(operator, place[operator.name], plan) for operator in operators]
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}" class="network">{"".join(lines)}{"".join(boxes)}</svg>'
    )


def _rows(operators: Sequence[DrawnOperator]) -> list[list[DrawnOperator]]:
    """Operators by the length of the longest way to them."""
    depth: dict[str, int] = {}
    rows: dict[int, list[DrawnOperator]] = {}
    for operator in operators:
        depth[operator.name] = 1 + max((depth[name] for name in operator.inputs if name in depth), default=-1)
        rows.setdefault(depth[operator.name], []).append(operator)
    return [rows[number] for number in sorted(rows)]


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    column, row = place
    return EDGE + column * (BOX_WIDTH + GAP_X), EDGE + row * (BOX_HEIGHT + GAP_Y)


def _line(source: tuple[int, int], target: tuple[int, int]) -> str:
    (x, y), (to_x, to_y) = _corner(source), _corner(target)
    x, to_x = x + BOX_WIDTH // 2, to_x + BOX_WIDTH // 2
    bend = (
        GAP_X // 2 + BOX_WIDTH // 2 if target[1] - source[1] > 1 and x == to_x else 0
    )  # past the boxes between
    start, end = y + BOX_HEIGHT, to_y
    if bend:
        path = f"M{x},{start}C{x + bend},{start + GAP_Y} {x + bend},{end - GAP_Y} {to_x},{end}"
    else:
        path = f"M{x},{start}C{x},{start + GAP_Y // 2} {to_x},{end - GAP_Y // 2} {to_x},{end}"
    return f'<path d="{path}"></path>'


def _box(operator: DrawnOperator, place: tuple[int, int], plan: PlanTables) -> str:
    x, y = _corner(place)
    table: Mapping[str, str | float] | None = plan.get(operator.layer)
    bits = short_layer(table) if table else ""
    shape = "×".join(map(str, operator.shape)) or "one value"
    title = f"{operator.layer}: {operator.kind}, gives {shape}"
    second = f"{operator.kind} · {bits}" if bits else operator.kind
    return (
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
        f'rx="6" class="{"planned" if bits else "left"}"></rect>'
        f'<text x="{x + BOX_WIDTH // 2}" y="{y + 18}" class="layer">{escape(_short(operator.layer))}</text>'
        f'<text x="{x + BOX_WIDTH // 2}" y="{y + 35}">{escape(_short(second))}</text></g>'
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"…{text[-LONGEST + 1 :]}"
