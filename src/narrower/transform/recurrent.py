"""Recurrent modules that round what their matrices read, with gradients that pass straight through."""

from types import MethodType
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.transform.quantizers.quantize import quantize_straight_through
from narrower.transform.quantizers.recurrent import Rounding, stepwise

KINDS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


class RoundedStates:
    """Lets a module compute step by step, as plans are evaluated, until it is removed.

    PyTorch's own forward looks at shapes and makes the first states; in the place of its operator the steps
    are taken, with the parameters that the module has by name, which may be rounded themselves.
    """

    def __init__(self, module: nn.RNNBase, rounding: Rounding | None) -> None:
        """``rounding`` is of what the matrices read; None: nothing is rounded."""
        self._module = module

        def forward(own: nn.RNNBase, *arguments: Any, **keywords: Any) -> Any:
            try:
                with _Steps(own, rounding):
                    return type(own).forward(own, *arguments, **keywords)
            finally:
                _forget_computed(own)

        _forget_computed(module)
        module.forward = MethodType(forward, module)

    def remove(self) -> None:
        """Give the module its own way back."""
        del self._module.forward


def rounding_to(number_format: NumberFormat) -> Rounding | None:
    """The rounding into a format; None for float32."""
    if number_format == FLOAT32:
        return None
    return lambda value: quantize_straight_through(value, number_format)


def operands_of(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """The names of the parameters that a plan rounds as weight and as bias: of recurrent modules several."""
    if not isinstance(module, nn.RNNBase):
        return {"weight": ("weight",), "bias": ("bias",)}
    names = [name for layer in module._all_weights for name in layer]
    return {
        operand: tuple(name for name in names if name.startswith(operand)) for operand in ("weight", "bias")
    }


def _forget_computed(module: nn.RNNBase) -> None:
    """Keep parameters alone in PyTorch's own list of them: what is computed from one cannot be copied."""
    module._flat_weights = [module._parameters.get(name) for name in module._flat_weights_names]


class _Steps(TorchFunctionMode):
    def __init__(self, module: nn.RNNBase, rounding: Rounding | None) -> None:
        super().__init__()
        self._module, self._rounding = module, rounding

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = getattr(func, "__name__", "")
        if kind not in KINDS:
            return func(*args, **(kwargs or {}))
        is_packed = isinstance(args[1], Tensor) and not args[1].is_floating_point()
        place = 3 if is_packed else 2
        parameters = [getattr(self._module, name) for name in self._module._flat_weights_names]
        arguments = (*args[:place], parameters, *args[place + 1 :])
        if self._rounding is None:
            return func(*arguments)
        if is_packed:
            arguments = (args[0], args[1], parameters, *args[4:], False)  # refused by name
        return stepwise(kind, (self._rounding(arguments[0]), *arguments[1:]), self._rounding)
