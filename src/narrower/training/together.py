"""Train candidates of one architecture and many widths together: one batched product for each layer.

Shapes in names: c candidates, n samples, i inputs and o outputs. Widths are filled up with zeros to powers of
two; a channel of filling stays zero and gets a gradient of zero, so that it never learns. Candidates of the
same filled widths share one product for each layer, and all share the layers before the first that differs.
So a candidate's sizes do not depend on which others are trained with it, and neither does what it becomes:
bit for bit without convolutions, to rounding with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import NarrowerError
from narrower.graph.own_copy import own_copy
from narrower.tasks.columns import stacked_losses
from narrower.training.batches import Batches
from narrower.training.chain_of_layers import call_order, leaf_layers
from narrower.training.recipe import Recipe
from narrower.training.stacked_layers import (
    LANES,
    StackedLayer,
    as_one,
    filled_shape,
    stacked_layers,
    through,
)


@dataclass(frozen=True, slots=True)
class TrainedTogether:
    """Trained copies in the given order, and what each lost on the first batch, before any step.

    ``failures`` say why a copy is of no use: its loss was no number. The others are not touched by that.
    """

    models: tuple[nn.Module, ...]
    first_losses: tuple[float, ...]
    failures: tuple[str | None, ...]


def train_together(models: Sequence[nn.Module], part: Part, settings: Recipe) -> TrainedTogether:
    """Train a copy of each model as if it were alone; all see the same batches in the same order.

    Adam with the cosine schedule of ``training/one_model.py``; the weights are those after the last epoch.

    Raises:
        NarrowerError: the models are not chains of the same layers.
    """
    trained = tuple(own_copy(model).eval() for model in models)
    orders = [None if part.more else call_order(model, part.inputs[:2]) for model in trained]
    found = [
        [leaf_layers(model.train())[position] for position in order]
        for model, order in zip(trained, orders, strict=True)
        if order is not None
    ]
    if len(found) < len(orders) or not found or len({_family(chain) for chain in found}) > 1:
        raise NarrowerError(
            "these models cannot be trained together: allowed are chains of linear layers, convolutions, "
            "batch norms, activations and pooling that differ in their widths only; train them one at a time"
        )
    lanes = 1 if any(isinstance(layer, nn.Conv1d | nn.Conv2d) for layer in found[0]) else LANES
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
    whole = as_one(parameters)
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
        for (inputs,), targets in batches:
            x_cni = through(beginning, inputs.expand(len(chains), *inputs.shape))
            parts: Sequence[Tensor] = torch.split(x_cni, counts)
            outputs = [
                through(ending, part_cni)[..., :classes]
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
) -> tuple[list[int], list[StackedLayer], dict[tuple[int, int], list[StackedLayer]]]:
    """In which order chains are stacked; the layers up to the first whose filled sizes differ, of all chains;
    and the layers from there on of those that have the same sizes, by the first of them and the end."""
    sizes = [
        [tuple(filled_shape(p.shape, lanes) for p in layer.parameters()) for layer in chain]
        for chain in chains
    ]
    members = sorted(range(len(chains)), key=sizes.__getitem__)
    differs = [len({row[position] for row in sizes}) > 1 for position in range(len(sizes[0]))]
    shared = [*differs, True].index(True)
    endings = {}
    for _, alike in groupby(range(len(members)), key=lambda place: sizes[members[place]]):
        places = list(alike)
        start, stop = places[0], places[-1] + 1
        endings[start, stop] = stacked_layers(
            [chains[number] for number in members[start:stop]], lanes, shared
        )
    return members, stacked_layers([chains[number] for number in members], lanes, 0, shared), endings


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
