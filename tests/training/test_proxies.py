"""Each zero-cost proxy against the formula of its paper, computed another way."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.training.proxies import EPSILON, PROXIES, SAMPLES, proxies


def part(*shape: int) -> Part:
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, *shape, generator=chance)
    return Part(inputs, torch.arange(40) % 3)


def dense(width: int = 7) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, 3))


def convolutional() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )


def of(name: str, model: nn.Module, samples: Part) -> float:
    return proxies([name], model, samples)[name]


def by_hand(model: nn.Sequential, samples: Part) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:
    """Weights, their gradients, the layers' outputs and the gradients of these, by the chain rule alone."""
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights = [layer.weight.detach().double() for layer in linears]
    read, outputs = [samples.inputs.double()], []
    for number, layer in enumerate(linears):
        outputs.append(read[-1] @ weights[number].T + layer.bias.detach().double())
        read.append(outputs[-1].clamp(min=0))
    count = len(samples)
    delta = (outputs[-1].softmax(1) - F.one_hot(samples.targets, 3)) / count
    deltas = [delta]
    for number in reversed(range(1, len(linears))):
        delta = (delta @ weights[number]) * (outputs[number - 1] > 0)
        deltas.insert(0, delta)
    gradients = [d.T @ x for d, x in zip(deltas, read[:-1], strict=True)]
    return weights, gradients, outputs, torch.cat([d.flatten() for d in deltas])


def test_sums_of_weights_and_gradients() -> None:
    samples = part(5)
    weights, gradients, outputs, deltas = by_hand(dense(), samples)
    products = [w * g for w, g in zip(weights, gradients, strict=True)]
    assert of("plain", dense(), samples) == pytest.approx(float(sum(p.sum() for p in products)), rel=1e-3)
    assert of("snip", dense(), samples) == pytest.approx(
        float(sum(p.abs().sum() for p in products)), rel=1e-4
    )
    norms = [float(np.sqrt((g.numpy() ** 2).sum())) for g in gradients]
    assert of("grad_norm", dense(), samples) == pytest.approx(sum(norms), rel=1e-4)
    start, fisher = 0, 0.0
    for output in outputs:
        delta = deltas[start : start + output.numel()].view_as(output)
        start += output.numel()
        fisher += float((output * delta).square().mean(dim=0).sum() / 2)
    assert of("fisher", dense(), samples) == pytest.approx(fisher, rel=1e-4)


def test_fisher_adds_up_the_places_of_a_channel() -> None:
    """From the gradient by a factor of each sample and channel, which autograd finds without the outputs."""
    samples, model = part(2, 4, 4), convolutional().train()
    factors = [torch.ones(40, 4, 1, 1, requires_grad=True), torch.ones(40, 3, requires_grad=True)]
    first = model[0](samples.inputs) * factors[0]
    last = model[4](model[3](model[2](model[1](first)))) * factors[1]
    F.cross_entropy(last, samples.targets).backward()  # type: ignore[no-untyped-call]
    wanted = sum(float(f.grad.flatten(1).square().mean(0).sum() / 2) for f in factors if f.grad is not None)
    assert of("fisher", convolutional(), samples) == pytest.approx(wanted, rel=1e-3)


def test_grasp_is_minus_the_slope_of_the_gradients_norm() -> None:
    """H g is the gradient of half of its squared norm: differences of that along the weights give the sum."""
    samples = part(5)

    def half_square(scale: float) -> float:
        model = dense()
        with torch.no_grad():
            for layer in model:
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(1 + scale)
        _, gradients, _, _ = by_hand(model, samples)
        return float(sum((g**2).sum() for g in gradients)) / 2

    step = 1e-3
    slope = (half_square(step) - half_square(-step)) / (2 * step)
    assert of("grasp", dense(), samples) == pytest.approx(-slope, rel=1e-2)


def test_synflow_is_the_flow_through_absolute_weights_whatever_the_data() -> None:
    model = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in pairwise((5, 7, 6, 3))))
    product = torch.ones(5, dtype=torch.float64)
    for layer in model:
        assert isinstance(layer, nn.Linear)
        product = layer.weight.detach().double().abs() @ product
    # Each layer's weights times their gradients add up to the output (Tanaka et al. 2020, theorem 1).
    assert of("synflow", model, part(5)) == pytest.approx(3 * float(product.sum()), rel=1e-9)
    turned = Part(-3 * part(5).inputs, part(5).targets)
    assert of("synflow", dense(), part(5)) == of("synflow", dense(), turned)


def test_jacob_cov_is_of_the_eigenvalues_of_correlations() -> None:
    samples = part(5)
    weights, _, outputs, _ = by_hand(dense(30), samples)
    rows = []
    for sample in range(40):
        jacobian = weights[2].sum(0)
        for number in (1, 0):
            jacobian = (jacobian * (outputs[number][sample] > 0)) @ weights[number]
        rows.append(jacobian.numpy())
    values = np.linalg.eigvals(np.corrcoef(np.stack(rows))).real.clip(0) + EPSILON
    wanted = -(np.log(values) + 1 / values).sum()
    assert of("jacob_cov", dense(30), samples) == pytest.approx(wanted, rel=1e-2)


def test_naswot_counts_activations_that_two_samples_have_alike() -> None:
    samples = part(5)
    _, _, outputs, _ = by_hand(dense(), samples)
    codes = torch.cat([(output > 0) for output in outputs[:-1]], dim=1).numpy()
    alike = np.array([[(a == b).sum() for b in codes] for a in codes], dtype=float)
    found = of("naswot", dense(), samples)
    assert found == pytest.approx(np.log(np.linalg.eigvalsh(alike) + EPSILON).sum(), rel=1e-6)
    few = samples.first(6)  # of so few samples the determinant is that of the paper
    codes, alike = codes[:6], alike[:6, :6]
    assert len({tuple(code) for code in codes}) == 6
    assert of("naswot", dense(), few) == pytest.approx(np.linalg.slogdet(alike)[1], rel=1e-4)

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = dense()

        def forward(self, x: Tensor) -> Tensor:
            for layer in (self.layers[0], self.layers[2]):
                x = torch.relu(layer(x))
            output: Tensor = self.layers[4](x)
            return output

    assert of("naswot", Functional(), samples) == found  # whoever calls them


@pytest.mark.parametrize("name", PROXIES)
def test_the_model_is_left_alone_and_the_batch_is_small(name: str) -> None:
    model, samples = convolutional(), part(2, 4, 4)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    first = of(name, model, samples)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    chance = torch.Generator().manual_seed(9)
    longer = Part(
        torch.cat(
            [samples.inputs, samples.inputs[: SAMPLES - 40], torch.randn(9, 2, 4, 4, generator=chance)]
        ),
        torch.cat([samples.targets, samples.targets[: SAMPLES - 40], torch.zeros(9, dtype=torch.int64)]),
    )
    assert of(name, model, longer) == of(name, model, longer.first(SAMPLES))
    assert first == of(name, model, samples)


def test_what_a_model_does_not_have_is_said() -> None:
    model = nn.Sequential(nn.Linear(5, 3))
    with pytest.raises(NarrowerError, match="naswot: the model calls none of relu"):
        of("naswot", model, part(5))
    with pytest.raises(NarrowerError, match="has no linear or convolution layer"):
        of("snip", nn.Sequential(nn.BatchNorm1d(3)), part(3))
