"""The rule of each operator that can be exported."""

from torch import fx

from narrower.errors import ExportError
from narrower.export.operators.elementwise import ELEMENTWISE
from narrower.export.operators.moves import MOVES
from narrower.export.operators.norms import NORMS
from narrower.export.operators.products import PRODUCTS
from narrower.export.operators.translation import Rule, Translation, Value
from narrower.export.operators.windows import WINDOWS
from narrower.graph.describe import base_name

RULES: dict[str, Rule] = {**PRODUCTS, **ELEMENTWISE, **WINDOWS, **NORMS, **MOVES}


def translate(translation: Translation, node: fx.Node) -> Value:
    """Express one node in ONNX and return its value there.

    Raises:
        ExportError: no rule covers the operator, or these arguments of it.
    """
    rule = RULES.get(base_name(node))
    if rule is None:
        raise ExportError(
            f"no rule exports the operator {node.target} ({node.name}); known are: {', '.join(sorted(RULES))}"
        )
    return rule(translation, node)
