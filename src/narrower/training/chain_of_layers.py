"""Which models are chains of layers that several candidates can be trained through at once."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.graph.own_copy import own_copy

# Only what maps zero to zero, channel by channel: anything else would wake padded channels.
_CHANNELWISE = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Tanh,
    nn.Identity,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
)
CONVOLUTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def layers_of_chain(model: nn.Module, inputs: Tensor) -> list[nn.Module] | None:
    """The layers that ``model`` calls one after the other, or None where it cannot be trained with others.

    The model runs once on ``inputs`` in evaluation mode: each layer must read the very tensor that the layer
    before it returned, so that nothing happens between two layers unseen.
    """
    order = call_order(own_copy(model).eval(), inputs)
    return None if order is None else [leaf_layers(model)[position] for position in order]


def names_of_chain(model: nn.Module, inputs: Tensor) -> list[str] | None:
    """The same as names of modules; none is called twice."""
    order = call_order(own_copy(model).eval(), inputs)
    if order is None:
        return None
    names = [name for name, module in model.named_modules() if not list(module.children())]
    return [names[position] for position in order]


def leaf_layers(model: nn.Module) -> list[nn.Module]:
    """The modules that hold no others, in the order in which they were made."""
    return [module for module in model.modules() if not list(module.children())]


def call_order(model: nn.Module, inputs: Tensor) -> list[int] | None:
    """In which order a model in evaluation mode calls its leaves, where it is a chain of them."""
    leaves = leaf_layers(model)
    if any(not _is_supported(leaf) for leaf in leaves):
        return None
    called: list[nn.Module] = []
    tensors: list[Tensor] = []
    versions: list[int] = []
    links: list[bool] = []

    def remember(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        if tensors:
            links.append(arguments[0] is tensors[-1] and arguments[0]._version == versions[-1])
        else:
            links.append(arguments[0] is inputs)
        called.append(module)
        tensors.append(output)
        versions.append(output._version)

    hooks = [leaf.register_forward_hook(remember) for leaf in leaves]
    with torch.no_grad():
        result = model(inputs)
    for hook in hooks:
        hook.remove()
    positions = [leaves.index(module) for module in called]
    ends_with_last = bool(tensors) and result is tensors[-1] and result._version == versions[-1]
    is_chain = all(links) and ends_with_last and sorted(positions) == list(range(len(leaves)))
    return positions if is_chain else None


def _is_supported(layer: nn.Module) -> bool:
    if isinstance(layer, _NORMS) and type(layer) in _NORMS:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and type(layer) in CONVOLUTIONS:
        return layer.groups == 1 and layer.padding_mode == "zeros"
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim == -1
    return type(layer) is nn.Linear or type(layer) in _CHANNELWISE
