"""Shares of classes that float networks give the training samples: softer targets than classes.

The class of one sample is a draw; the shares of classes among samples like it are what a small network
should learn. A network that has seen a sample would repeat its class, so each is judged by a network
trained on others.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FOLDS = 4
HIDDEN = (64, 64, 64)
EPOCHS = 40
BATCH_SIZE = 512
PEAK_RATE = 1e-2
WEIGHT_DECAY = 1e-2


def soft_targets(inputs_ni: Tensor, targets: Tensor, classes: int, seed: int, epochs: int = EPOCHS) -> Tensor:
    """Shares of classes [N, classes], each sample's from a network trained on the other folds."""
    generator = torch.Generator().manual_seed(seed)
    folds = torch.randperm(len(targets), generator=generator) % FOLDS
    shares = torch.empty(len(targets), classes)
    for fold in range(FOLDS):
        others = (folds != fold).nonzero()[:, 0]
        model = _trained(inputs_ni[others], targets[others], classes, generator, epochs)
        judged = (folds == fold).nonzero()[:, 0]
        with torch.inference_mode():
            shares[judged] = model(inputs_ni[judged]).softmax(1)
    return shares


def _trained(
    inputs_ni: Tensor, targets: Tensor, classes: int, generator: torch.Generator, epochs: int
) -> nn.Module:
    model = _perceptron((inputs_ni.shape[1], *HIDDEN), classes, generator)
    size = min(BATCH_SIZE, len(targets))
    batches = len(targets) // size
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * batches + 1)
    with torch.enable_grad():
        for _ in range(epochs):
            order = torch.randperm(len(targets), generator=generator)
            for batch in order[: batches * size].view(batches, size):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(inputs_ni[batch]), targets[batch])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return model.eval()


def _perceptron(sizes: tuple[int, ...], classes: int, generator: torch.Generator) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [_linear(inputs, outputs, generator), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, _linear(sizes[-1], classes, generator))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    bound = (1 / inputs) ** 0.5
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer
