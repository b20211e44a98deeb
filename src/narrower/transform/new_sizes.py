"""A copy of a model whose tensors have other sizes, and whose modules say so."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from narrower.errors import SettingsError
from narrower.graph.groups import Channels, Copies
from narrower.graph.own_copy import own_copy
from narrower.graph.own_sizes import set_own_size
from narrower.graph.resized_network import resized_network

Weights = Literal["slice", "net2net", "scratch"]


def changed_copy(
    model: nn.Module,
    found: Channels,
    copies: Mapping[int, Copies],
    weights: Weights,
    seed: int,
    *,
    shares: bool = False,
) -> nn.Module:
    """Return a copy of ``model`` with the units of the families as ``copies`` say; see ``resize``.

    ``shares``: the copy is only tried, so that parameters of the same size are those of the model.
    """
    shared = tuple(model.parameters()) if shares else ()
    kept = {id(parameter) for parameter in shared}
    changed = own_copy(model, shared)
    made: dict[int, nn.Parameter | Tensor] = {}
    for path, module in changed.named_modules(remove_duplicate=True):
        for store in (module._parameters, module._buffers):
            for own, tensor in store.items():
                if tensor is None:
                    continue
                name = found.first_name(f"{path}.{own}" if path else own)
                if id(tensor) not in made:
                    new = _tensor(tensor, name, found, copies, weights)
                    is_same = new is None and id(tensor) in kept
                    made[id(tensor)] = tensor if is_same else _owned(tensor if new is None else new, tensor)
                store[own] = made[id(tensor)]
    _set_all_sizes(model, changed)
    _set_bare_norms(changed, found, copies)
    for size in found.own_sizes:
        if size.family in copies:
            setattr(changed.get_submodule(size.path), size.attribute, size.at(len(copies[size.family])))
    if weights == "scratch" or (weights == "slice" and any(len(set(c)) < len(c) for c in copies.values())):
        _initialise(changed, found, copies, weights, seed)
    return changed


def _tensor(
    tensor: Tensor, name: str, found: Channels, copies: Mapping[int, Copies], weights: Weights
) -> Tensor | None:
    """The numbers of other size; None where the size stays."""
    old = new = tensor.detach()
    for position in range(tensor.dim()):
        indices = found.indices(name, position, copies)
        if indices is None or indices == list(range(tensor.shape[position])):
            continue
        new = new.index_select(position, torch.tensor(indices, device=new.device))
        if weights == "net2net" and not found.is_source(name, position) and found.is_consumer(name, position):
            units = found.units(name, position)
            shares = []
            for index in indices:
                family, unit = units[index]
                shares.append(1 / copies[family].count(unit) if family in copies else 1.0)
            shape = [1] * tensor.dim()
            shape[position] = len(shares)
            new = new * torch.tensor(shares, dtype=new.dtype, device=new.device).view(shape)
    return None if new is old else new


def _owned(new: Tensor, tensor: Tensor) -> Tensor | nn.Parameter:
    """Numbers in memory of their own, as a parameter where they stand for one."""
    own = new.detach().clone()
    return nn.Parameter(own, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else own


def _initialise(
    changed: nn.Module, found: Channels, copies: Mapping[int, Copies], weights: Weights, seed: int
) -> None:
    """Draw all parameters anew (scratch), or those of the channels that are new (slice)."""
    kept = {name: tensor.detach().clone() for name, tensor in changed.state_dict().items()}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in changed.modules():
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if callable(reset):
                reset()
    if weights == "scratch":
        return
    state = changed.state_dict()
    for name, tensor in state.items():
        is_new = torch.zeros(tensor.shape, dtype=torch.bool)
        own = found.first_name(name)
        for position in range(tensor.dim()):
            indices = found.indices(own, position, copies)
            if indices is None:
                continue
            fresh = [index in indices[:number] for number, index in enumerate(indices)]
            shape = [1] * tensor.dim()
            shape[position] = len(fresh)
            is_new |= torch.tensor(fresh).view(shape)
        tensor.copy_(torch.where(is_new, tensor, kept[name]))


def _depthwise(model: nn.Module, path: str) -> bool:
    module = model.get_submodule(path) if path else model
    return (
        isinstance(module, nn.modules.conv._ConvNd)
        and module.groups > 1
        and module.groups == module.in_channels
    )


def _set_bare_norms(changed: nn.Module, found: Channels, copies: Mapping[int, Copies]) -> None:
    """Norms without any tensor, whose sizes show in the network alone."""
    bare = {
        path: module
        for path, module in changed.named_modules()
        if isinstance(module, nn.LayerNorm | nn.RMSNorm | nn.GroupNorm | nn.modules.batchnorm._NormBase)
        and not module.state_dict()
    }
    if not bare:
        return
    network = resized_network(found, {family: len(units) for family, units in copies.items()})
    for operator in network.operators:
        module, shape = bare.get(operator.module), operator.output_shape
        sized: Any = module
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            sized.normalized_shape = shape[-len(module.normalized_shape) :]
        elif isinstance(module, nn.GroupNorm):
            sized.num_channels = shape[1]
        elif module is not None:
            sized.num_features = shape[1]


def _set_all_sizes(model: nn.Module, changed: nn.Module) -> None:
    for path, module in reversed(list(changed.named_modules())):  # parts before what is made of them
        _set_sizes(module, _depthwise(model, path))


def _set_sizes(module: nn.Module, is_depthwise: bool) -> None:
    """Bring what a module says of its sizes in line with its parameters."""
    weight: Any = getattr(module, "weight", None)
    sized: Any = module
    if isinstance(module, nn.modules.conv._ConvNd):
        _set_convolution_sizes(module, is_depthwise)
    elif isinstance(module, nn.Linear):
        sized.out_features, sized.in_features = weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        held = weight if weight is not None else module.running_mean
        if held is not None:
            sized.num_features = len(held)
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm) and weight is not None:
        sized.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm) and weight is not None:
        sized.num_channels = len(weight)
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        sized.num_embeddings, sized.embedding_dim = weight.shape
    elif isinstance(module, nn.RNNBase):
        sized.hidden_size, sized.input_size = sized.weight_hh_l0.shape[1], sized.weight_ih_l0.shape[1]
        module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    elif isinstance(module, nn.RNNCellBase):
        module.hidden_size, module.input_size = module.weight_hh.shape[1], module.weight_ih.shape[1]
    elif isinstance(module, nn.PReLU):
        sized.num_parameters = len(weight)
    else:
        _set_attention_sizes(module)


def _set_convolution_sizes(module: nn.modules.conv._ConvNd, is_depthwise: bool) -> None:
    shape = module.weight.shape
    if module.transposed:
        if is_depthwise:
            module.groups = shape[0]
        module.in_channels, module.out_channels = shape[0], shape[1] * module.groups
    else:
        if is_depthwise:
            module.groups = shape[0] // (module.out_channels // module.in_channels)
        module.out_channels, module.in_channels = shape[0], shape[1] * module.groups


def _set_attention_sizes(module: nn.Module) -> None:
    if isinstance(module, nn.MultiheadAttention):
        if module.in_proj_weight is not None:
            module.embed_dim = module.kdim = module.vdim = module.in_proj_weight.shape[1]
        else:
            module.embed_dim = len(module.q_proj_weight)
            module.kdim, module.vdim = module.k_proj_weight.shape[1], module.v_proj_weight.shape[1]
        module.num_heads = module.embed_dim // module.head_dim
    elif isinstance(module, nn.Transformer) and isinstance(module.encoder, nn.TransformerEncoder):
        layer: Any = module.encoder.layers[0]
        module.d_model, module.nhead = layer.linear1.weight.shape[1], layer.self_attn.num_heads


def with_tensors(
    model: nn.Module, tensors: Mapping[str, Tensor], sizes: Mapping[str, int] = MappingProxyType({})
) -> nn.Module:
    """Return a copy of ``model`` that holds tensors of other widths; the sizes of its modules follow.

    ``sizes`` are those that modules of the user's classes keep, by their names.

    Raises:
        SettingsError: a tensor of the model is missing, or there is one too many.
    """
    names = set(model.state_dict())
    if names != set(tensors):
        odd = sorted(names ^ set(tensors))[0]
        raise SettingsError(
            f"these are not the tensors of {type(model).__name__}: {odd} is in one of both only"
        )
    changed = own_copy(model)
    made: dict[int, nn.Parameter | Tensor] = {}
    for path, module in changed.named_modules():
        for store in (module._parameters, module._buffers):
            for own, tensor in store.items():
                name = f"{path}.{own}" if path else own
                if tensor is None or name not in tensors:
                    continue
                if id(tensor) not in made:
                    new = tensors[name].clone()
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if is_parameter else new
                store[own] = made[id(tensor)]
    _set_all_sizes(model, changed)
    for name, value in sizes.items():
        set_own_size(changed, name, value)
    return changed
