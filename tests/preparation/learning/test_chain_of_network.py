"""Which networks can be learned; what cannot be is named, with why."""

import pytest
import torch
from torch import Tensor, nn

from narrower.errors import SettingsError
from narrower.graph.trace import trace
from narrower.preparation.learning.chain_of_network import ChainOfLayers, chain_of_network


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        y: Tensor = self.last((x + self.second(x)).relu())
        return y


def test_a_chain_is_found_behind_what_stays_as_it_is() -> None:
    model = nn.Sequential(
        nn.BatchNorm1d(4), nn.Linear(4, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3), nn.ReLU()
    ).eval()
    found = chain_of_network(trace(model, torch.zeros(3, 4)).network)
    assert found == ChainOfLayers(("1", "4"), (4, 6, 3), ends_in_relu=True)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    found = chain_of_network(trace(flat, torch.zeros(3, 3, 2, 2)).network)
    assert found == ChainOfLayers(("1",), (12, 3), ends_in_relu=False)


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), (1, 4, 4), r"0 \(conv2d\)"),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), (4,), r"1 \(no ReLU between 0 and it\)"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)), (4,), r"0 \(not on the one path"),
        (nn.Sequential(nn.Linear(4, 3, bias=False)), (4,), r"0 \(it has no bias\)"),
        (nn.Sequential(nn.Linear(4, 3)), (5, 4), r"0 \(its outputs have 3 dimensions\)"),
        (Residual(), (4,), r"first \(not on .*second \(not on"),
    ],
)
def test_layers_that_cannot_be_learned_are_named(
    model: nn.Module, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        chain_of_network(trace(model.eval(), torch.zeros(3, *shape)).network)
