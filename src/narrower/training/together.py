"""Train candidates of one architecture and many widths together: one batched product for each layer.

Shapes in names: c candidates, n samples, i inputs and o outputs. Widths are filled up with zeros to powers of
two; a channel of filling stays zero and gets a gradient of zero, so that it never learns. Candidates of the
same filled widths share one product for each layer, and all share the layers before the first that differs.
So a candidate's sizes do not depend on which others are trained with it, and neither does what it becomes:
bit for bit without convolutions, to rounding with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.graph.own_copy import own_copy
from narrower.tasks.columns import stacked_losses
from narrower.training.batches import Batches
from narrower.training.recipe import Recipe

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
# Numbers that are computed at once. Libraries round what is left over, or unaligned, in another way: so rows
# of channels have whole lanes.
_LANES = 16


@dataclass(frozen=True, slots=True)
class TrainedTogether:
    """Trained copies in the given order, and what each lost on the first batch, before any step.

    ``failures`` say why a copy is of no use: its loss was no number. The others are not touched by that.
    """

    models: tuple[nn.Module, ...]
    first_losses: tuple[float, ...]
    failures: tuple[str | None, ...]


def layers_of_chain(model: nn.Module, inputs: Tensor) -> list[nn.Module] | None:
    """The layers that ``model`` calls one after the other, or None where it cannot be trained with others.

    The model runs once on ``inputs`` in evaluation mode: each layer must read the very tensor that the layer
    before it returned, so that nothing happens between two layers unseen.
    """
    order = _order(own_copy(model).eval(), inputs)
    return None if order is None else [_leaves(model)[position] for position in order]


def names_of_chain(model: nn.Module, inputs: Tensor) -> list[str] | None:
    """The same as names of modules; none is called twice."""
    order = _order(own_copy(model).eval(), inputs)
    if order is None:
        return None
    names = [name for name, module in model.named_modules() if not list(module.children())]
    return [names[position] for position in order]


def _leaves(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if not list(module.children())]


def _order(model: nn.Module, inputs: Tensor) -> list[int] | None:
    """In which order a model in evaluation mode calls its leaves, where it is a chain of them."""
    leaves = _leaves(model)
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


def train_together(models: Sequence[nn.Module], part: Part, settings: Recipe) -> TrainedTogether:
    """Train a copy of each model as if it were alone; all see the same batches in the same order.

    Adam with the cosine schedule of ``training/one_model.py``; the weights are those after the last epoch.

    Raises:
        NarrowerError: the models are not chains of the same layers.
    """
    trained = tuple(own_copy(model).eval() for model in models)
    orders = [_order(model, part.inputs[:2]) for model in trained]
    found = [
        [_leaves(model.train())[position] for position in order]
        for model, order in zip(trained, orders, strict=True)
        if order is not None
    ]
    if len(found) < len(orders) or not found or len({_family(chain) for chain in found}) > 1:
        raise NarrowerError(
            "these models cannot be trained together: allowed are chains of linear layers, convolutions, "
            "batch norms, activations and pooling that differ in their widths only; train them one at a time"
        )
    lanes = 1 if any(isinstance(layer, nn.Conv1d | nn.Conv2d) for layer in found[0]) else _LANES
    first, finite = _train(found, lanes, part, settings)
    reason = f"the loss is no number; try a learning rate below {settings.learning_rate:g}"
    return TrainedTogether(
        tuple(model.eval() for model in trained),
        tuple(first.tolist()),
        tuple(None if is_finite else reason for is_finite in finite.tolist()),
    )


def _train(
    chains: Sequence[list[nn.Module]], lanes: int, part: Part, settings: Recipe
) -> tuple[Tensor, Tensor]:
    """Train chains in place; their first losses, and whether all were numbers."""
    members, beginning, endings = _arrange(chains, lanes)
    layers = [*beginning, *(layer for ending in endings.values() for layer in ending)]
    parameters = [parameter for layer in layers for parameter in layer.parameters]
    if not parameters:
        raise NarrowerError("these models cannot be trained: they have no parameters")
    ((classes, *_), *_) = _family(chains[0])
    whole = _as_one(parameters)
    optimizer = torch.optim.Adam([whole], lr=settings.learning_rate, fused=True)
    batches = Batches(part, settings.batch_size, settings.seed)
    steps = max(1, settings.max_epochs * len(batches))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses_of = stacked_losses(part.task)
    order = torch.tensor(members).argsort()
    counts = [stop - start for start, stop in endings]
    first: Tensor | None = None
    finite_c = torch.ones(len(chains), dtype=torch.bool)
    for _ in range(settings.max_epochs):
        for inputs, targets in batches:
            x_cni = _through(beginning, inputs.expand(len(chains), *inputs.shape))
            parts: Sequence[Tensor] = torch.split(x_cni, counts)
            outputs = [
                _through(ending, part_cni)[..., :classes]
                for ending, part_cni in zip(endings.values(), parts, strict=True)
            ]
            losses_c = losses_of(torch.cat(outputs), targets)[order]
            finite_c &= torch.isfinite(losses_c)
            first = losses_c.detach() if first is None else first
            optimizer.zero_grad(set_to_none=False)  # parameters hold views of this gradient
            losses_c.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    for layer in layers:
        layer.write_back(steps)
    assert first is not None
    return first, finite_c


def _arrange(
    chains: Sequence[list[nn.Module]], lanes: int
) -> tuple[list[int], list["_Stacked"], dict[tuple[int, int], list["_Stacked"]]]:
    """In which order chains are stacked; the layers up to the first whose filled sizes differ, of all chains;
    and the layers from there on of those that have the same sizes, by the first of them and the end."""
    sizes = [
        [tuple(_filled_shape(p.shape, lanes) for p in layer.parameters()) for layer in chain]
        for chain in chains
    ]
    members = sorted(range(len(chains)), key=sizes.__getitem__)
    differs = [len({row[position] for row in sizes}) > 1 for position in range(len(sizes[0]))]
    shared = [*differs, True].index(True)
    endings = {}
    for _, alike in groupby(range(len(members)), key=lambda place: sizes[members[place]]):
        places = list(alike)
        start, stop = places[0], places[-1] + 1
        endings[start, stop] = _stacks([chains[number] for number in members[start:stop]], lanes, shared)
    return members, _stacks([chains[number] for number in members], lanes, 0, shared), endings


def _stacks(
    chains: Sequence[list[nn.Module]], lanes: int, start: int, stop: int | None = None
) -> list["_Stacked"]:
    """The layers from ``start`` to ``stop``, each of all chains."""
    stacked = []
    for position in range(len(chains[0]))[start:stop]:
        is_new = position > 0 and isinstance(chains[0][position - 1], nn.Linear)
        stacked.append(_stack(tuple(chain[position] for chain in chains), lanes, is_new=is_new))
    return stacked


def _through(layers: Sequence["_Stacked"], x_cni: Tensor) -> Tensor:
    for layer in layers:
        x_cni = layer.forward(x_cni)
    return x_cni


def _as_one(parameters: Sequence[Tensor]) -> Tensor:
    """One tensor that all parameters become views of, as their gradients do of its own: one step for all."""
    whole = torch.cat([parameter.detach().flatten() for parameter in parameters])
    whole.grad = torch.zeros_like(whole)
    start = 0
    for parameter in parameters:
        part = slice(start, start + parameter.numel())
        parameter.data = whole[part].view_as(parameter)
        parameter.grad = whole.grad[part].view_as(parameter)
        start = part.stop
    return whole


@dataclass(frozen=True, slots=True)
class _Stacked:
    parameters: tuple[Tensor, ...]
    forward: Callable[[Tensor], Tensor]
    write_back: Callable[[int], None]  # takes the number of steps


def _is_supported(layer: nn.Module) -> bool:
    if isinstance(layer, _NORMS) and type(layer) in _NORMS:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and type(layer) in CONVOLUTIONS:
        return layer.groups == 1 and layer.padding_mode == "zeros"
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim == -1
    return type(layer) is nn.Linear or type(layer) in _CHANNELWISE


def _family(chain: list[nn.Module]) -> tuple[tuple[Any, ...], ...]:
    """What must agree between candidates: the number of classes, and everything but the widths inside."""
    ends = [layer for layer in chain if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)]
    classes = len(ends[-1].weight) if ends else 0
    return ((classes,), *((type(layer), *_traits(layer)) for layer in chain))


def _traits(layer: nn.Module) -> tuple[object, ...]:
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return layer.eps, layer.momentum
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.bias is not None
    if isinstance(layer, nn.Linear):
        return (layer.bias is not None,)
    return (repr(layer),)


def _stack(same: tuple[nn.Module, ...], lanes: int, *, is_new: bool) -> _Stacked:
    """One layer of several chains; ``is_new``: nothing else reads what goes in, so it may be overwritten."""
    first = same[0]
    if isinstance(first, nn.Linear):
        return _stack_products(same, lanes, _linear)
    if isinstance(first, nn.Conv1d | nn.Conv2d):
        return _stack_products(same, lanes, _convolution(first))
    if isinstance(first, nn.BatchNorm1d | nn.BatchNorm2d):
        return _stack_batch_norm(same, lanes, first)
    if isinstance(first, nn.Flatten):
        return _Stacked((), lambda x: x.flatten(2), lambda _steps: None)
    if isinstance(first, nn.ReLU):
        return _Stacked((), torch.relu_ if is_new else torch.relu, lambda _steps: None)
    return _Stacked(
        (), lambda x: first(x.flatten(0, 1)).unflatten(0, (len(same), x.shape[1])), lambda _steps: None
    )


def _filled_shape(shape: Sequence[int], lanes: int) -> tuple[int, ...]:
    """The sizes of a parameter with widths that are powers of two; those of a kernel stay."""
    return (*(max(lanes, 1 << (size - 1).bit_length()) for size in shape[:2]), *shape[2:])


class _Leaf:
    """One parameter of all candidates, [C, ...], zero where a candidate's own is smaller; perhaps turned."""

    def __init__(self, name: str, same: Sequence[nn.Module], lanes: int, *, turned: bool = False) -> None:
        held: list[Tensor] = [getattr(layer, name).detach() for layer in same]
        self._own = [tensor.T for tensor in held] if turned else held
        self.shape = (len(same), *_filled_shape(self._own[0].shape, lanes))
        count = prod(self.shape)
        flat = self._own[0].new_zeros(-(-count // _LANES) * _LANES)
        self.trained = flat if flat.numel() > count else flat.view(self.shape)
        for row, tensor in zip(self.stacked, self._own, strict=True):
            row[tuple(slice(size) for size in tensor.shape)] = tensor.detach()

    @property
    def stacked(self) -> Tensor:
        """The tensor [C, ...] that is trained, without the lanes that it is filled up with."""
        if self.trained.shape == self.shape:
            return self.trained
        return self.trained[: prod(self.shape)].view(self.shape)

    def write_back(self) -> None:
        """Give each candidate what is its own."""
        with torch.no_grad():
            for row, tensor in zip(self.stacked, self._own, strict=True):
                tensor.copy_(row[tuple(slice(size) for size in tensor.shape)])


Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _stack_products(same: Sequence[nn.Module], lanes: int, product: Product) -> _Stacked:
    is_linear = product is _linear  # its weights are held as [C, I, O], the way that the product reads them
    weight = _Leaf("weight", same, lanes, turned=is_linear)
    bias = _Leaf("bias", same, lanes) if same[0].bias is not None else None
    leaves = [weight] if bias is None else [weight, bias]

    def write_back(_steps: int) -> None:
        for leaf in leaves:
            leaf.write_back()

    return _Stacked(
        tuple(leaf.trained.requires_grad_() for leaf in leaves),
        lambda x: product(
            _filled(x, weight.shape[1 if is_linear else 2]),
            weight.stacked,
            None if bias is None else bias.stacked,
        ),
        write_back,
    )


def _linear(x_cni: Tensor, weight_cio: Tensor, bias_co: Tensor | None) -> Tensor:
    if bias_co is None:
        return torch.bmm(x_cni, weight_cio)
    return torch.baddbmm(bias_co[:, None], x_cni, weight_cio)


def _convolution(layer: nn.Conv1d | nn.Conv2d) -> Product:
    convolve = CONVOLUTIONS[type(layer)]

    def product(x: Tensor, weight: Tensor, bias_co: Tensor | None) -> Tensor:
        """One convolution with a group for each candidate."""
        candidates = len(x)
        bias = None if bias_co is None else bias_co.flatten()
        result = convolve(
            _side_by_side(x),
            weight.flatten(0, 1),
            bias,
            layer.stride,
            layer.padding,
            layer.dilation,
            candidates,
        )
        return _apart(result, candidates)

    return product


def _filled(x: Tensor, channels: int) -> Tensor:
    """[C, N, I, ...] with as many channels: zeros are added, or filling is left out."""
    missing = channels - x.shape[2]
    return F.pad(x, (*(0 for _ in range(2 * (x.dim() - 3))), 0, missing)) if missing else x


def _side_by_side(x: Tensor) -> Tensor:
    """[C, N, I, ...] as [N, C * I, ...]."""
    return x.transpose(0, 1).flatten(1, 2)


def _apart(x: Tensor, candidates: int) -> Tensor:
    """[N, C * I, ...] as [C, N, I, ...]."""
    apart: Tensor = x.unflatten(1, (candidates, -1)).transpose(0, 1)  # type: ignore[no-untyped-call]
    return apart


def _stack_batch_norm(
    same: Sequence[nn.Module], lanes: int, first: nn.BatchNorm1d | nn.BatchNorm2d
) -> _Stacked:
    weight, bias, mean, variance = leaves = [
        _Leaf(name, same, lanes) for name in ("weight", "bias", "running_mean", "running_var")
    ]
    momentum, eps = first.momentum, first.eps
    assert momentum is not None  # _is_supported

    def forward(x: Tensor) -> Tensor:
        x_nk = _side_by_side(_filled(x, weight.shape[1]))  # K = candidates x channels
        normal = F.batch_norm(
            x_nk,
            mean.stacked.flatten(),
            variance.stacked.flatten(),
            weight.stacked.flatten(),
            bias.stacked.flatten(),
            True,
            momentum,
            eps,
        )
        return _apart(normal, len(x))

    def write_back(steps: int) -> None:
        for leaf in leaves:
            leaf.write_back()
        for layer in same:
            layer.num_batches_tracked += steps  # type: ignore[assignment, operator] # a tensor: _is_supported

    return _Stacked((weight.trained.requires_grad_(), bias.trained.requires_grad_()), forward, write_back)
