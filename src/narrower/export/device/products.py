"""The rows of one product with constant weights, from what the plan says of its layer."""

from collections.abc import Mapping

from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.device.forms import Forms
from narrower.export.device.kernels import Product
from narrower.export.device.numbers import Real
from narrower.export.device.packing import Pack
from narrower.export.device.roundings import OnEach, refused_data
from narrower.export.device.rows import Rows
from narrower.export.device.shapes import sample_shape
from narrower.export.device.source import Source, Step
from narrower.export.device.stored_values import StoredValues, identifier
from narrower.export.device.weights import whole_weights
from narrower.graph.nodes import kind_of
from narrower.plan.plan import Plan

CONVOLUTIONS = frozenset({"conv1d", "conv2d"})
DENSE = frozenset({"linear", "matmul"})


def product_rows(
    into: Source,
    step: Step,
    node: fx.Node,
    plan: Plan,
    pack: Pack,
    forms: Forms,
    values: StoredValues,
    constants: Mapping[fx.Node, Tensor],
) -> Rows:
    """Begin the step of a product; the row holds its sums.

    Raises:
        ExportError: C has no such product, or cannot hold its numbers; the message names the layer.
    """
    kind = kind_of(node)
    layer = node.meta["layer"]
    if kind not in CONVOLUTIONS | DENSE:
        raise ExportError(f"{layer}: C has no rule for the operator {kind}")
    source, held = node.args[0], node.args[1]
    if not isinstance(held, fx.Node) or held not in constants:
        raise ExportError(f"{layer}: a product of two computed values; C has products with constant weights")
    assert isinstance(source, fx.Node)
    if source in constants:
        raise ExportError(f"{layer}: its weight comes first; C has products with weights that come second")
    chosen, form = plan.layer(layer), forms.data(layer)
    rounding = None if form is None else forms.rounding(form, layer)
    data = values.contiguous(source, form)
    if isinstance(data.number, Real):
        raise ExportError(f"{layer}: its data is {chosen.data.text}: {refused_data(chosen.data)}")
    weight = constants[held]
    if kind == "matmul":
        if weight.dim() != 2:  # noqa: PLR2004 - a matrix
            raise ExportError(f"{layer}: its weight has {weight.dim()} dimensions; C has matrices")
        weight = weight.T
    fracs = rounding.fracs if isinstance(rounding, OnEach) else None
    if fracs is not None and kind in CONVOLUTIONS:
        raise ExportError(f"{layer}: its data have steps of their own; C has that in linear layers")
    whole = whole_weights(weight, chosen.weight, layer, fracs)
    product = Product(into, step, whole, data, pack, identifier(layer))
    shape = sample_shape(node)
    return product.convolve(node, shape) if kind in CONVOLUTIONS else product.dot(shape)
