"""Layers are rated from all over the network, so that what is done tells of what is left."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from narrower.data.parts import DataSet, Part
from narrower.plan.plan import LayerPlan
from narrower.study.sensitivity import _spread, layer_sensitivity


@pytest.mark.parametrize("layers", [1, 2, 3, 7, 20, 49, 64])
def test_whatever_is_done_its_layers_lie_around_the_middle(layers: int) -> None:
    wanted = [(f"layer {n}", part, "8", LayerPlan()) for n in range(layers) for part in ("weight", "both")]
    order = _spread(wanted)
    assert sorted(order) == list(range(2 * layers))
    assert all(second == first + 1 for first, second in zip(order[::2], order[1::2], strict=True))
    places = [number // 2 for number in order[::2]]
    for count in range(max(3, layers // 10), layers):
        assert 0.2 < sum(places[:count]) / count / layers < 0.8


def test_what_is_measured_has_the_order_of_the_network(jets: DataSet) -> None:
    torch.manual_seed(0)
    names = ["0", "2", "4", "6"]
    sizes = [16, 8, 8, 8, 5]
    modules: list[nn.Module] = []
    for entering, leaving in pairwise(sizes):
        modules += [nn.Linear(entering, leaving), nn.ReLU()]
    model = nn.Sequential(*modules[:-1]).eval()
    part: Part = jets.validation.first(50)
    seen: list[tuple[int, int]] = []
    found = layer_sensitivity(
        model, "net", jets, part, widths=[8, 4], progress=lambda done, total: seen.append((done, total))
    )
    assert list(dict.fromkeys(each.layer for each in found.measured)) == names
    assert [(each.rounded, each.format) for each in found.measured[:6]] == [
        (rounded, width) for rounded in ("weight", "data", "both") for width in ("8", "4")
    ]
    assert seen == [(done, 24) for done in range(25)]
