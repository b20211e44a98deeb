"""Which artefacts can express which families of number formats: one line for each family."""

from narrower.errors import ExportError
from narrower.export.formats.affine import AffineExpression
from narrower.export.formats.block import BlockExpression
from narrower.export.formats.expression import Artefact, Expression
from narrower.export.formats.fixed import FixedExpression
from narrower.export.formats.fixed_channels import FixedChannelsExpression
from narrower.export.formats.fixed_each import FixedEachExpression
from narrower.export.formats.float32 import Float32Expression
from narrower.export.formats.minifloat import MinifloatExpression
from narrower.export.formats.power_of_two import PowerOfTwoExpression
from narrower.export.formats.sign_only import SignExpression
from narrower.export.formats.sparse import SparseExpression
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.block import BlockFloat, Mx
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.float32 import Float32
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.minifloat import Minifloat
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.power_of_two import PowerOfTwo
from narrower.plan.formats.sign_only import Binary, Ternary
from narrower.plan.formats.sparse import Sparse

EXPRESSIONS: dict[type, Expression] = {
    Float32: Float32Expression(),
    FixedPoint: FixedExpression(),
    Affine: AffineExpression(),
    Minifloat: MinifloatExpression(),
    Mx: BlockExpression(),
    BlockFloat: BlockExpression(),
    PowerOfTwo: PowerOfTwoExpression(),
    Binary: SignExpression(),
    Ternary: SignExpression(),
    FixedChannels: FixedChannelsExpression(),
    FixedEach: FixedEachExpression(),
    Sparse: SparseExpression(),
}


def refusal(number_format: NumberFormat, artefact: Artefact) -> str | None:
    """Why an artefact cannot hold data in a format, after the format's name; None: it can."""
    expression = EXPRESSIONS.get(type(number_format))
    if expression is None:
        return f"{number_format.text}: no rule exports such numbers"
    reason = expression.refusal(number_format, artefact)
    return reason and f"{number_format.text}: {reason}"


def expression_of(number_format: NumberFormat, artefact: Artefact) -> Expression:
    """How artefacts express a format.

    Raises:
        ExportError: this artefact cannot; the message says why.
    """
    if reason := refusal(number_format, artefact):
        raise ExportError(reason)
    return EXPRESSIONS[type(number_format)]


def linear_grid(number_format: NumberFormat) -> Grid | None:
    """The grid on which ONNX's QuantizeLinear rounds as a format does; None where it does not."""
    expression = EXPRESSIONS.get(type(number_format))
    return None if expression is None else expression.linear(number_format)
