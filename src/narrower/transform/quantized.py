"""Put the planned number formats into a module."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from narrower.errors import ModelError, unknown_name
from narrower.graph.own_copy import own_copy
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.quantize import quantize_straight_through
from narrower.transform.recurrent import RoundedStates, operands_of, rounding_to

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ROUNDED = (*PRODUCTS, nn.Embedding, nn.RNNBase)


class Rounded(nn.Module):
    """Rounds a parameter into a format; gradients pass straight through."""

    def __init__(self, number_format: NumberFormat) -> None:
        super().__init__()
        self.number_format = number_format

    def forward(self, x: Tensor) -> Tensor:
        return quantize_straight_through(x, self.number_format)

    def extra_repr(self) -> str:
        return self.number_format.text


def quantized(model: nn.Module, plan: Plan) -> nn.Module:
    """Return a copy of ``model`` that rounds data, weight and bias of its layers as ``plan`` says.

    Its parameters stay in float32 and can be trained: rounding has a straight-through gradient (Bengio et al.
    2013). A module adds the bias inside its product, so that its outputs may differ from those of the
    deployed form in the last bit.

    Raises:
        UnknownNameError: the plan names a layer that the model does not have.
        ModelError: the layer is no linear or convolution module, or the plan changes its width.
    """
    changed = own_copy(model)
    modules = dict(changed.named_modules())
    for name, layer in plan.layers:
        _round_operands(product_module(modules, name, layer), layer)
    return changed


def product_module(modules: Mapping[str, nn.Module], name: str, layer: LayerPlan) -> nn.Module:
    """The linear, convolution, embedding or recurrent module that a plan rounds, among ``modules`` by name.

    Raises:
        UnknownNameError: the model does not have the layer.
        ModelError: it is no such module, or the plan changes its width.
    """
    if name not in modules:
        raise unknown_name("layer", name, [n for n, m in modules.items() if isinstance(m, ROUNDED)])
    module = modules[name]
    if not isinstance(module, ROUNDED):
        raise ModelError(
            f"{name}: a {type(module).__name__} computes its products inside; only linear, convolution, "
            "recurrent and embedding layers can be rounded in a module"
        )
    if isinstance(module, nn.Embedding) and layer.data != FLOAT32:
        raise ModelError(f"{name}: an embedding reads whole numbers, which have no format; allowed: weight")
    if layer.width != 1.0:
        raise ModelError(f"{name}: resize the model before its formats are put in")
    if layer.output != FLOAT32:
        raise ModelError(
            f"{name}: modules round operands, not what they write; narrower.load_compressed gives one that "
            "rounds edges"
        )
    return module


def original_weights(model: nn.Module, trained: nn.Module) -> nn.Module:
    """Return a copy of ``model`` with the float32 parameters that its quantized form was trained to."""
    copied = own_copy(model)
    own = copied.state_dict()
    state = {
        name if name in own else _original_name(name): tensor for name, tensor in trained.state_dict().items()
    }
    copied.load_state_dict(state)
    return copied


def _original_name(name: str) -> str:
    return (
        name.replace(".parametrizations.", ".").removesuffix(".original")
        if "parametrizations" in name
        else name
    )


def _round_operands(module: nn.Module, layer: LayerPlan) -> None:
    for operand, names in operands_of(module).items():
        number_format: NumberFormat = getattr(layer, operand)
        for name in names if number_format != FLOAT32 else ():
            if getattr(module, name, None) is not None:
                parametrize.register_parametrization(module, name, Rounded(number_format))
    if isinstance(module, nn.RNNBase):
        RoundedStates(module, rounding_to(layer.data))
    elif layer.data != FLOAT32:
        module.register_forward_pre_hook(_round_data(layer.data))


def _round_data(number_format: NumberFormat) -> Callable[[nn.Module, Any], Any]:
    def hook(_module: nn.Module, inputs: Any) -> Any:
        return (quantize_straight_through(inputs[0], number_format), *inputs[1:])

    return hook
