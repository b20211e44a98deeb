"""The rule of each operator that can be exported."""

from torch import fx

from narrower.errors import ExportError, ModelError
from narrower.export.operators.activations import ACTIVATIONS
from narrower.export.operators.arithmetic import ARITHMETIC
from narrower.export.operators.choices import CHOICES
from narrower.export.operators.filling import FILLING
from narrower.export.operators.indexing import INDEXING
from narrower.export.operators.moves import MOVES
from narrower.export.operators.norms import NORMS
from narrower.export.operators.products import PRODUCTS
from narrower.export.operators.recurrent import RECURRENT
from narrower.export.operators.reductions import REDUCTIONS
from narrower.export.operators.resampling import RESAMPLING
from narrower.export.operators.translation import Rule, Translation, Value
from narrower.export.operators.windows import WINDOWS
from narrower.graph.nodes import base_name

RULES: dict[str, Rule] = {
    **PRODUCTS,
    **RECURRENT,
    **ARITHMETIC,
    **ACTIVATIONS,
    **CHOICES,
    **FILLING,
    **REDUCTIONS,
    **NORMS,
    **WINDOWS,
    **RESAMPLING,
    **MOVES,
    **INDEXING,
}


def translate(translation: Translation, node: fx.Node) -> Value:
    """Express one node in ONNX and return its value there.

    Raises:
        ExportError: no rule covers the operator, or these arguments of it.
    """
    rule = RULES.get(base_name(node))
    if rule is None:
        raise ExportError(f"no rule exports the operator {node.target} ({node.name})")
    try:
        return rule(translation, node)
    except ModelError as error:
        raise ExportError(f"{node.name}: {error}") from error
