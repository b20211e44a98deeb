"""Train candidates of one architecture and many widths together: one batched product for each layer.

Shapes in names: c candidates, n samples, i inputs and o outputs of the widest candidate. Narrower candidates
are padded with zeros; a padded channel stays zero and gets a gradient of zero, so that it never learns.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import NarrowerError
from narrower.tasks.batches import Batches
from narrower.tasks.parts import Part
from narrower.tasks.training_settings import TrainingSettings

# Only what maps zero to zero: anything else would wake padded channels.
_ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Identity)


@dataclass(frozen=True, slots=True)
class TrainedTogether:
    """Trained copies in the given order, and what each lost on the first batch, before any step."""

    models: tuple[nn.Module, ...]
    first_losses: tuple[float, ...]


def layers_of_chain(model: nn.Module, inputs: Tensor) -> list[nn.Module] | None:
    """The layers that ``model`` calls one after the other, or None where it cannot be trained with others.

    The model runs once on ``inputs`` in evaluation mode: each layer must read the very tensor that the layer
    before it returned, so that nothing happens between two layers unseen.
    """
    leaves = [module for module in model.modules() if not list(module.children())]
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

    examined = copy.deepcopy(model).eval()
    twins = [module for module in examined.modules() if not list(module.children())]
    hooks = [twin.register_forward_hook(remember) for twin in twins]
    with torch.no_grad():
        result = examined(inputs)
    for hook in hooks:
        hook.remove()
    positions = [twins.index(module) for module in called]
    ends_with_last = bool(tensors) and result is tensors[-1] and result._version == versions[-1]
    if not (all(links) and ends_with_last and sorted(positions) == list(range(len(leaves)))):
        return None
    return [leaves[position] for position in positions]


def train_together(models: Sequence[nn.Module], part: Part, settings: TrainingSettings) -> TrainedTogether:
    """Train a copy of each model as if it were alone; all see the same batches in the same order.

    Adam with the cosine schedule of ``tasks/training.py``; the weights are those after the last epoch.

    Raises:
        NarrowerError: the models are not chains of the same layers, or a loss is not a number.
    """
    trained = tuple(copy.deepcopy(model).train() for model in models)
    chains = [layers_of_chain(model, part.inputs[:2]) for model in trained]
    found = [chain for chain in chains if chain is not None]
    if len(found) < len(chains) or not found or len({_family(chain) for chain in found}) > 1:
        raise NarrowerError(
            "these models cannot be trained together: allowed are chains of Linear, BatchNorm1d, ReLU, Tanh "
            "and Identity that differ in their widths only; train them one at a time"
        )
    layers = [_stack(same) for same in zip(*found, strict=True)]
    parameters = [parameter for layer in layers for parameter in layer.parameters]
    if not parameters:
        raise NarrowerError("these models cannot be trained: they have no Linear and no BatchNorm1d")
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
    batches = Batches(part, settings.batch_size, settings.seed)
    steps = max(1, settings.max_epochs * len(batches))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    first: tuple[float, ...] = ()
    for _ in range(settings.max_epochs):
        for inputs, targets in batches:
            x_cni = inputs.expand(len(models), *inputs.shape)
            for layer in layers:
                x_cni = layer.forward(x_cni)
            losses_c = _losses(x_cni, targets)
            _check_finite(losses_c, settings)
            first = first or tuple(losses_c.tolist())
            optimizer.zero_grad()
            losses_c.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    for layer in layers:
        layer.write_back(steps)
    return TrainedTogether(tuple(model.eval() for model in trained), first)


@dataclass(frozen=True, slots=True)
class _Stacked:
    parameters: tuple[Tensor, ...]
    forward: Callable[[Tensor], Tensor]
    write_back: Callable[[int], None]  # takes the number of steps


def _is_supported(layer: nn.Module) -> bool:
    if type(layer) is nn.BatchNorm1d:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    return type(layer) is nn.Linear or type(layer) in _ACTIVATIONS


def _family(chain: list[nn.Module]) -> tuple[tuple[object, ...], ...]:
    """What must agree between candidates: everything but the widths inside."""
    ends = [layer for layer in chain if isinstance(layer, nn.Linear)]
    classes = ends[-1].out_features if ends else 0
    return (
        (classes,),
        *(
            (type(layer), layer.eps, layer.momentum)
            if isinstance(layer, nn.BatchNorm1d)
            else (type(layer), getattr(layer, "bias", None) is not None)
            for layer in chain
        ),
    )


def _stack(same: tuple[nn.Module, ...]) -> _Stacked:
    first = same[0]
    if isinstance(first, nn.Linear):
        return _stack_linear([layer for layer in same if isinstance(layer, nn.Linear)])
    if isinstance(first, nn.BatchNorm1d):
        return _stack_batch_norm([layer for layer in same if isinstance(layer, nn.BatchNorm1d)])
    return _Stacked((), first.forward, lambda _steps: None)


def _stack_linear(same: list[nn.Linear]) -> _Stacked:
    weight_coi = _padded([layer.weight for layer in same]).requires_grad_()
    biases = [layer.bias for layer in same if layer.bias is not None]
    bias_co = _padded(biases).requires_grad_() if biases else None

    def forward(x_cni: Tensor) -> Tensor:
        if bias_co is None:
            return torch.bmm(x_cni, weight_coi.mT)
        return torch.baddbmm(bias_co[:, None], x_cni, weight_coi.mT)

    def write_back(_steps: int) -> None:
        _copy_back(weight_coi, [layer.weight for layer in same])
        if bias_co is not None:
            _copy_back(bias_co, biases)

    return _Stacked((weight_coi,) if bias_co is None else (weight_coi, bias_co), forward, write_back)


def _stack_batch_norm(same: list[nn.BatchNorm1d]) -> _Stacked:
    weight_ci = _padded([layer.weight for layer in same]).requires_grad_()
    bias_ci = _padded([layer.bias for layer in same]).requires_grad_()
    means = [layer.running_mean for layer in same if layer.running_mean is not None]
    variances = [layer.running_var for layer in same if layer.running_var is not None]
    mean_ci, variance_ci = _padded(means), _padded(variances)
    momentum, eps = same[0].momentum, same[0].eps
    assert momentum is not None  # _is_supported

    def forward(x_cni: Tensor) -> Tensor:
        candidates, samples, width = x_cni.shape
        x_nk = x_cni.transpose(0, 1).reshape(samples, candidates * width)  # K = candidates x channels
        normal_nk = F.batch_norm(
            x_nk,
            mean_ci.view(-1),
            variance_ci.view(-1),
            weight_ci.view(-1),
            bias_ci.view(-1),
            True,
            momentum,
            eps,
        )
        return normal_nk.view(samples, candidates, width).transpose(0, 1)

    def write_back(steps: int) -> None:
        _copy_back(weight_ci, [layer.weight for layer in same])
        _copy_back(bias_ci, [layer.bias for layer in same])
        _copy_back(mean_ci, means)
        _copy_back(variance_ci, variances)
        for layer in same:
            assert layer.num_batches_tracked is not None  # _is_supported
            layer.num_batches_tracked += steps

    return _Stacked((weight_ci, bias_ci), forward, write_back)


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    """All tensors in one, [C, ...], zero where a tensor is smaller than the largest."""
    largest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    stacked = tensors[0].new_zeros(len(tensors), *largest)
    for row, tensor in zip(stacked, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor.detach()
    return stacked


def _copy_back(stacked: Tensor, tensors: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for row, tensor in zip(stacked, tensors, strict=True):
            tensor.copy_(row[tuple(slice(size) for size in tensor.shape)])


def _losses(outputs_cno: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of each candidate, [C]."""
    candidates, samples, classes = outputs_cno.shape
    flat = outputs_cno.reshape(candidates * samples, classes)
    losses = F.cross_entropy(flat, targets.repeat(candidates), reduction="none")
    return losses.view(candidates, samples).mean(dim=1)


def _check_finite(losses_c: Tensor, settings: TrainingSettings) -> None:
    if not bool(torch.isfinite(losses_c).all()):
        which = int((~torch.isfinite(losses_c)).nonzero()[0])
        raise NarrowerError(
            f"the loss of candidate {which} became {losses_c[which].item()}; try a learning rate below "
            f"{settings.learning_rate:g}"
        )
