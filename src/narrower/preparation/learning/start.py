"""First weights and widths of a training of widths, drawn by each candidate's seed."""

from collections.abc import Sequence
from math import sqrt

import torch

from narrower.preparation.learning.layout import Layout
from narrower.preparation.learning.network import Grouping, Parameters
from narrower.preparation.learning.settings import LearnSettings


def start(
    parameters: Parameters,
    layout: Layout,
    settings: LearnSettings,
    shapes: Sequence[Sequence[int]],
    seeds: Sequence[int],
) -> None:
    """Fill in weights drawn by each candidate's seed (He et al., 2015), no biases, and the first widths.

    What a candidate is filled up with has neither weights nor bits, and so no gradient: it never learns.
    """
    parameters.values.zero_()
    parameters.bits.fill_(min(settings.first_bits, max(settings.allowed, default=settings.max_width) - 1))
    has_own_widths = settings.weight_granularity == "weight"
    bits = layout.coefficients(parameters.bits) if has_own_widths else []
    for candidate, (shape, seed) in enumerate(zip(shapes, seeds, strict=True)):
        generator = torch.Generator().manual_seed(seed)
        for layer, values_cio in enumerate(layout.coefficients(parameters.values)):
            inputs, outputs = shape[layer], shape[layer + 1]
            bound = sqrt(6 / inputs)
            drawn = torch.empty(inputs, outputs).uniform_(-bound, bound, generator=generator)
            values_cio[candidate, :inputs, :outputs] = drawn
            if has_own_widths:
                bits[layer][candidate, inputs:-1] = 0
                bits[layer][candidate, :, outputs:] = 0
    parameters.integer_bits.fill_(settings.first_integer_bits)
    parameters.data_fractions.fill_(settings.first_data_fraction)


def grouping(layout: Layout, settings: LearnSettings) -> Grouping:
    """Which numbers share a width; a bias never shares its own with weights."""
    return Grouping(_weight_groups(layout, settings), _data_groups(layout, settings))


def _weight_groups(layout: Layout, settings: LearnSettings) -> torch.Tensor | None:
    if settings.weight_granularity == "weight":
        return None
    groups, count = [], 0
    for candidates, rows, outputs in layout.coefficient_shapes:
        each = torch.arange(candidates)[:, None, None]
        if settings.weight_granularity == "channel":
            each = each * outputs + torch.arange(outputs)
        group = each.expand(candidates, rows, outputs).clone()
        shared = int(group.max()) + 1
        group[:, -1] = shared + torch.arange(candidates * outputs).view(candidates, outputs)
        groups.append(group.flatten() + count)
        count += shared + candidates * outputs
    return torch.cat(groups)


def _data_groups(layout: Layout, settings: LearnSettings) -> torch.Tensor | None:
    if settings.data_granularity == "element":
        return None
    layers = [torch.full(shape, layer) for layer, shape in enumerate(layout.data_shapes)]
    return torch.cat([part.flatten() for part in layers]) * layout.candidates + layout.candidate_of_data
