"""Which layers read data without a sign: known by hand, and seen on values."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from narrower.graph.signs import unsigned_layers
from narrower.graph.trace import trace
from narrower.models.build import build_model


class Branches(nn.Module):
    """Two layers read what ``join`` makes of the results of two others."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], width: int = 8) -> None:
        super().__init__()
        self.join = join
        self.a, self.b = nn.Linear(6, 8), nn.Linear(6, 8)
        self.last = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.join(self.a(x), self.b(x)))


UNSIGNED: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a.relu() + b.relu(),
    lambda a, b: a.sigmoid() * b.relu(),
    lambda a, b: torch.softmax(a + b, -1),
    lambda a, b: (a * b).abs() * 2 + 0.5,
    lambda a, b: nn.functional.relu6(a) + b.clamp(0, 3),
    lambda a, b: nn.functional.hardtanh(a, 0.0, 2.0) + b.relu().mean(-1, keepdim=True),
    lambda a, b: torch.cat([a.relu()[:, :4], b.sigmoid()[:, 4:]], 1),
    lambda a, b: torch.maximum(a.relu(), b.relu()).reshape(-1, 2, 4).transpose(1, 2).flatten(1),
]
SIGNED: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a.relu() + b,
    lambda a, b: a.relu() - b.relu(),
    lambda a, b: a.relu() * -1 + b.relu() * 0,
    lambda a, b: a.relu() + b.relu() - 0.5,
    lambda a, b: torch.add(a.relu(), b.relu(), alpha=-1),
    lambda a, b: nn.functional.gelu(a) + b.relu(),
    lambda a, b: a.clamp(-1, 3) + b.relu(),
    lambda a, b: torch.tanh(a) * b.sigmoid(),
    lambda a, b: nn.functional.layer_norm(a.relu() + b.relu(), (8,)),
    lambda a, b: torch.cat([a.relu()[:, :4], b[:, 4:]], 1),
]


@pytest.mark.parametrize(
    ("join", "is_unsigned"), [*((j, True) for j in UNSIGNED), *((j, False) for j in SIGNED)]
)
def test_data_have_no_sign_where_no_operator_can_give_them_one(
    join: Callable[[Tensor, Tensor], Tensor], is_unsigned: bool
) -> None:
    torch.manual_seed(0)
    model = Branches(join).eval()
    x = torch.randn(500, 6)
    assert unsigned_layers(trace(model, x[:3]).network) == ({"last"} if is_unsigned else set())
    seen: list[Tensor] = []
    model.last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    model(x)
    assert bool((seen[0] >= 0).all()) == is_unsigned


def test_the_built_in_models_are_known_by_hand() -> None:
    toy = trace(build_model("jsc-toy"), torch.randn(3, 16)).network
    assert unsigned_layers(toy) == {"seq_blocks.2", "seq_blocks.5", "seq_blocks.8"}  # each after a ReLU
    resnet = trace(build_model("resnet20"), torch.randn(3, 3, 32, 32)).network
    assert set(resnet.product_layers) - unsigned_layers(resnet) == {next(iter(resnet.product_layers))}


def test_a_layer_that_is_called_twice_must_read_no_sign_either_time() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(self.a(x).relu())

    assert unsigned_layers(trace(Twice().eval(), torch.randn(3, 6)).network) == set()
