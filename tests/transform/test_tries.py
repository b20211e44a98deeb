"""Other widths are tried by shapes alone where the model runs so, and with numbers where it does not."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.transform import tried_channels as subject
from narrower.transform.tried_channels import groups
from narrower.transform.tries import Tries, tries


class Deep(nn.Module):
    """Eight free groups, one that a constant in a view holds, and two that need each other."""

    def __init__(self, *, own_constant: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(8))
        self.held, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.first, self.second = nn.Linear(6, 4), nn.Linear(6, 4)
        self.constant = torch.ones(1) if own_constant else None  # no buffer: it stays on its device

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        both = self.first(x) * self.second(x).view(-1, self.first.out_features)
        x = self.held(x).view(-1, 2, 4).flatten(1)
        if self.constant is not None:
            x = x + self.constant
        return self.head(x) + both.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("own_constant", [False, True])
def test_shapes_say_what_numbers_say(own_constant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, x = Deep(own_constant=own_constant).eval(), torch.randn(3, 6)
    tried = tries(model, [x])
    assert (tried.by_shape is None) == own_constant
    found = groups(model, x)
    monkeypatch.setattr(
        subject, "tries", lambda *arguments: Tries(*arguments, tries(*arguments).wanted, by_shape=None)
    )
    assert groups(model, x) == found
    held = {layer for group in found if not group.can_change for layer in group.layers}
    assert {"held", "head"} <= held
    assert {f"layers.{number}" for number in range(8)}.isdisjoint(held)


def test_trying_by_shape_leaves_the_numbers_of_the_model() -> None:
    model, x = Deep().eval(), torch.randn(3, 6)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    groups(model, x)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
