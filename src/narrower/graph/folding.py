"""Which batch norms can be part of the product before them, and the model in which they are."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, fx, nn

from narrower.errors import ModelError
from narrower.graph.nodes import kind_of
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.graph.watched_chain import watched_chain

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class FoldedBatchNorm(nn.Identity):
    """Stands where a batch norm was that is now in weight and bias of the layer ``into``."""

    def __init__(self, into: str) -> None:
        super().__init__()
        self.into = into

    def extra_repr(self) -> str:
        return f"into={self.into}"


def fold_batch_norm(model: nn.Module, example: Tensor | Sequence[Tensor]) -> nn.Module:
    """Return a copy of ``model`` whose batch norms are in weight and bias of the products before them.

    It computes the same in evaluation mode, up to rounding. A batch norm stays as it is where it does not
    follow a linear or convolution module directly, or where anything else reads that module's result or its
    parameters. ``example`` is as for ``trace``.

    Raises:
        ModelError: the model cannot be traced.
    """
    folded = own_copy(model)
    modules = dict(folded.named_modules())
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    chain = watched_chain(model, examples[0], type(model).__name__) if len(examples) == 1 else None
    for name, into in _pairs((chain or trace(model, examples)).as_traced, model):
        product, batch_norm = modules[into], modules[name]
        assert isinstance(product, PRODUCTS)
        assert isinstance(batch_norm, BATCH_NORMS)
        _absorb(product, batch_norm)
        _replace(folded, name, into)
    return folded


def folded_layers(model: nn.Module) -> dict[str, str]:
    """The layer that each folded batch norm of a model is in."""
    return {name: m.into for name, m in model.named_modules() if isinstance(m, FoldedBatchNorm)}


def with_folded_layers(model: nn.Module, layers: Mapping[str, str]) -> nn.Module:
    """Return a copy of ``model`` with the modules of a folded one; its biases wait for their values.

    Raises:
        ModelError: the model does not have these layers.
    """
    changed = own_copy(model)
    modules = dict(changed.named_modules())
    for name, into in layers.items():
        product = modules.get(into)
        if name not in modules or not isinstance(product, PRODUCTS):
            raise ModelError(f"{type(model).__name__} has no batch norm {name!r} after a product {into!r}")
        if product.bias is None:
            product.bias = nn.Parameter(product.weight.new_zeros(len(product.weight)))
        _replace(changed, name, into)
    return changed


def _pairs(program: Program, model: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of batch norms, each with the name of the product that can take it up."""
    modules = dict(model.named_modules())
    called = [operator.module for operator in program.network.operators]
    module_of = {operator.name: operator.module for operator in program.network.operators}
    holders = [id(p) for module in modules.values() for p in module._parameters.values() if p is not None]
    for node in program.graph.nodes:
        if node.op != "call_function" or kind_of(node) != "batch_norm":
            continue
        product, name = node.args[0], module_of[node.name]
        if not isinstance(product, fx.Node) or len(product.users) != 1 or product.name not in module_of:
            continue
        into = module_of[product.name]
        batch_norm, layer = modules[name], modules[into]
        if type(layer) not in PRODUCTS or type(batch_norm) not in BATCH_NORMS:
            continue
        if layer._parameters.get("weight") is None:  # a hook computes it
            continue
        own = [parameter for module in (layer, batch_norm) for parameter in module.parameters()]
        is_over_channels = not isinstance(layer, nn.Linear) or product.meta["val"].dim() == 2  # noqa: PLR2004
        if (
            called.count(name) == called.count(into) == 1
            and all(holders.count(id(parameter)) == 1 for parameter in own)
            and all(len(source.users) == 1 for source in product.all_input_nodes[1:])
            and is_over_channels
        ):
            yield name, into


def _absorb(product: nn.Module, batch_norm: nn.Module) -> None:
    """Multiply and shift in double precision, and round once."""
    held = {**dict(batch_norm.named_parameters()), **dict(batch_norm.named_buffers())}
    own = {name: parameter.detach().double() for name, parameter in product.named_parameters()}
    assert isinstance(batch_norm.eps, float)
    mean, variance = held["running_mean"].double(), held["running_var"].double()
    scale = (variance + batch_norm.eps).rsqrt()
    if "weight" in held:
        scale = held["weight"].detach().double() * scale
    shift = (own["bias"] - mean if "bias" in own else -mean) * scale
    if "bias" in held:
        shift = shift + held["bias"].detach().double()
    weight = own["weight"] * scale.reshape(-1, *(1 for _ in range(own["weight"].dim() - 1)))
    product.weight = nn.Parameter(weight.float())
    product.bias = nn.Parameter(shift.float())


def _replace(model: nn.Module, name: str, into: str) -> None:
    parent, _, own = name.rpartition(".")
    replacement = FoldedBatchNorm(into)
    replacement.training = model.training
    setattr(model.get_submodule(parent), own, replacement)
