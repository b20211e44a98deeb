"""Zero-cost proxies: numbers of an untrained network that are meant to tell how well it will learn.

Each is computed from one batch, without a step of training, with the weights of linear and convolution layers
as parameters. Batch norms see the batch, but for synflow, which sees no data.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from narrower.data.arguments import copies
from narrower.data.parts import Part
from narrower.errors import ModelError
from narrower.graph.own_copy import own_copy
from narrower.models.ending import ending_of_outputs
from narrower.tasks.task import Loss

PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
SAMPLES = 64  # in the batch
EPSILON = 1e-5  # added to eigenvalues (Mellor et al. 2021, version 1)
ACTIVATIONS = ("relu", "relu_", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "gelu", "silu")


def proxies(names: Sequence[str], model: nn.Module, part: Part) -> dict[str, float]:
    """Some proxies of an untrained model, by name, from the first samples of a part; higher is better.

    Raises:
        ModelError: one cannot be computed for this model.
    """
    batch = part.first(min(SAMPLES, len(part)))
    loss = part.task.loss(ending_of_outputs(model, part.arguments))
    found = {}
    for name in names:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            value = PROXIES[name](own_copy(model).train().requires_grad_(), batch, loss)
        if value - value != 0:  # NaN and infinity
            raise ModelError(f"{name}: it is {value} for this model")
        found[name] = value
    return found


def plain(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The sum of weights times their gradients (Mozer and Smolensky 1989)."""
    weights = _weights(model)
    gradients = torch.autograd.grad(_loss(model, batch, loss), weights)
    return _added(w * g for w, g in zip(weights, gradients, strict=True))


def snip(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The sum of the sizes of weights times their gradients (Lee et al. 2019, equation 4)."""
    weights = _weights(model)
    gradients = torch.autograd.grad(_loss(model, batch, loss), weights)
    return _added((w * g).abs() for w, g in zip(weights, gradients, strict=True))


def grad_norm(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The sum over layers of the norms of gradients (Abdelfattah et al. 2021, section 3.1)."""
    gradients = torch.autograd.grad(_loss(model, batch, loss), _weights(model))
    return _added(g.norm() for g in gradients)


def grasp(model: nn.Module, batch: Part, loss: Loss) -> float:
    """Minus the sum of weights times the Hessian's product with the gradient (Wang et al. 2020, eq. 8)."""
    weights = _weights(model)
    gradients = torch.autograd.grad(_loss(model, batch, loss), weights, create_graph=True)
    product = sum(((g.detach() * g).sum() for g in gradients), torch.zeros(()))
    turned = torch.autograd.grad(product, weights)
    return -_added(w * h for w, h in zip(weights, turned, strict=True))


def synflow(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The sum of weights times the gradient of the summed outputs (Tanaka et al. 2020, equation 3).

    The input is ones, and of all parameters the absolute value counts; in double precision.
    """
    del loss
    linear = model.double().eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    if not all(each.is_floating_point() for each in batch.arguments):
        raise ModelError("synflow: the inputs are whole numbers; there is no input of ones")
    outputs = linear(*(torch.ones_like(each[:1], dtype=torch.float64) for each in batch.arguments))
    weights = _weights(linear)
    gradients = torch.autograd.grad(outputs.sum(), weights)
    return _added((w * g).abs() for w, g in zip(weights, gradients, strict=True))


def fisher(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The sum over channels of half the mean square of activations times gradients, added up over places.

    Theis et al. 2018; Turner et al. 2020, equation 3. Activations are the outputs of the layers.
    """
    outputs: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _m, _i, output: outputs.append(output))
        for module in model.modules()
        if isinstance(module, PRODUCTS)
    ]
    lost = _loss(model, batch, loss)
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(lost, outputs, allow_unused=True)
    total = 0.0
    for output, gradient in zip(outputs, gradients, strict=True):
        if gradient is not None:
            signal = (output * gradient).flatten(2).sum(dim=2) if output.dim() > 2 else output * gradient  # noqa: PLR2004
            total += signal.detach().double().square().mean(dim=0).sum().item() / 2
    return total


def jacob_cov(model: nn.Module, batch: Part, loss: Loss) -> float:
    """How little the outputs of different samples change alike with their inputs (Mellor et al. 2021).

    With the eigenvalues v of the correlations of the Jacobian's rows, it is minus the sum of
    log(v + k) + 1 / (v + k).
    """
    del loss
    if not batch.inputs.is_floating_point():
        raise ModelError("jacob_cov: the inputs are whole numbers; outputs have no gradient by them")
    inputs = batch.inputs.clone().requires_grad_()
    (jacobian,) = torch.autograd.grad(model(inputs, *copies(batch.more)).sum(), inputs)
    correlations = torch.corrcoef(jacobian.flatten(1).double())
    if not torch.isfinite(correlations).all():
        raise ModelError("jacob_cov: the outputs of a sample do not change with its inputs")
    values = torch.linalg.eigvalsh(correlations).clamp(min=0.0) + EPSILON
    return -float((values.log() + 1 / values).detach().sum())


def naswot(model: nn.Module, batch: Part, loss: Loss) -> float:
    """The logarithm of the determinant of how many activations each two samples have alike, on or off.

    Mellor et al. 2021, equation 2; a small number on the diagonal keeps it finite where samples are alike.
    """
    del loss
    with _Activations() as seen, torch.no_grad():
        model(*copies(batch.arguments))
    if not seen.codes:
        raise ModelError(f"naswot: the model calls none of {', '.join(ACTIVATIONS)}")
    alike = torch.zeros(len(batch), len(batch), dtype=torch.float64)
    for code in seen.codes:
        on = code.flatten(1).double()
        alike += on @ on.T + (1 - on) @ (1 - on).T
    return float(torch.linalg.slogdet(alike + EPSILON * torch.eye(len(batch))).logabsdet)


Proxy = Callable[[nn.Module, Part, Loss], float]

PROXIES: dict[str, Proxy] = {
    "synflow": synflow,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "grad_norm": grad_norm,
    "jacob_cov": jacob_cov,
    "naswot": naswot,
    "plain": plain,
}


class _Activations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which outputs of activations are above zero, whoever calls them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.codes: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__.split(".")[-1] in ACTIVATIONS:
            self.codes.append(output > 0)
        return output


def _weights(model: nn.Module) -> list[Tensor]:
    found = {id(m.weight): m.weight for m in model.modules() if isinstance(m, PRODUCTS)}
    if not found:
        raise ModelError(f"{type(model).__name__} has no linear or convolution layer")
    return list(found.values())


def _loss(model: nn.Module, batch: Part, loss: Loss) -> Tensor:
    return loss.of_samples(model(*copies(batch.arguments)), batch.targets).mean()


def _added(tensors: Iterator[Tensor]) -> float:
    return sum(tensor.detach().double().sum().item() for tensor in tensors)
