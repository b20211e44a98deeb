"""A chain that is read off one call is what torch.export gives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.export.rehearsal import unexported
from narrower.export.shapes import with_shapes
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.nodes import is_tensor, shape_of
from narrower.graph.trace import trace
from narrower.graph.watched_chain import watched_chain
from narrower.models import jsc_models
from narrower.models.build import OF_ONE_SIZE
from narrower.study.expressible import export_notes


class Own(nn.Module):
    """Modules of a user's, some of which are called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(16, 6, bias=False), nn.ReLU()
        self.norm = nn.BatchNorm1d(6, affine=False, momentum=0.2, eps=1e-3)
        self.block = nn.Sequential(nn.Linear(6, 6), nn.Identity(), nn.Dropout(0.3), nn.Tanh())
        self.last = nn.Linear(6, 5)

    def forward(self, features: Tensor) -> Tensor:
        x = self.act(self.norm(self.first(features)))
        x = self.block(x)
        x = self.act(self.block(x))
        return self.last(x)


CHAINS: dict[str, Callable[[], nn.Module]] = {
    **{name: make for name, make in OF_ONE_SIZE.items() if name.startswith("jsc")},
    "own": Own,
    "sequential": lambda: nn.Sequential(
        nn.Linear(16, 4), nn.Sigmoid(), nn.ReLU(inplace=True), nn.Linear(4, 3)
    ),
    "folded": lambda: fold_batch_norm(jsc_models.jsc_toy(), torch.randn(3, 16)),
    "one layer": lambda: nn.Linear(16, 3),
}


@pytest.mark.parametrize("name", CHAINS)
def test_it_is_the_program_that_torch_export_gives(name: str) -> None:
    torch.manual_seed(0)
    model, example = CHAINS[name](), torch.randn(3, 16)
    found, wanted = watched_chain(model, example, "name"), trace(model, example, "name")
    assert found is not None
    assert found.network == wanted.network
    assert str(found.graph) == str(wanted.graph)
    assert dict(found.parameter_names) == dict(wanted.parameter_names)
    assert list(found.tensors) == list(wanted.tensors)
    assert found.content_hash == wanted.content_hash
    assert str(lower(found).graph) == str(lower(wanted).graph)
    for ours, theirs in zip(
        with_shapes(lower(found)).graph.nodes, with_shapes(lower(wanted)).graph.nodes, strict=True
    ):
        assert (ours.name, shape_of(ours), is_tensor(ours)) == (
            theirs.name,
            shape_of(theirs),
            is_tensor(theirs),
        )
    assert unexported(lower(found)) == export_notes(found) == ()
    assert not any(module._forward_hooks for module in model.modules())


class Forward(nn.Module):
    """A chain but for what ``forward`` does with it."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.own = nn.Linear(16, 16), nn.Linear(16, 16), forward
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.own(self, self.norm(x))


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.b(m.a(x)) + x,
        lambda m, x: m.b(F.relu(m.a(x))),
        lambda m, x: m.b(m.a(x)) if x.shape[0] > 2 else m.a(m.b(x)),
        lambda m, x: m.b(m.a(x)) if len(x) > 2 else m.a(m.b(x)),
        lambda m, x: m.b(m.a(x)) if float(x.sum()) > 0 else m.a(m.b(x)),
        lambda m, x: (m.a(x), m.b(x))[1],
        lambda m, x: (m.b(m.a(x)), x)[1],
        lambda m, x: m.b(input=m.a(x)),
        lambda m, x: m.a(x),  # one layer is never called
        lambda m, x: m.b(m.a(x)) * torch.ones(16),
        lambda m, x: [m.b(m.a(x))],
        lambda m, x: m.b(m.a(x).detach()),
        lambda m, x: m.c(x),  # raises
    ],
)
def test_whatever_else_is_done_is_left_to_torch_export(
    forward: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    assert watched_chain(Forward(forward), torch.randn(3, 16), "name") is None


def test_modules_that_do_more_than_their_class_are_left_to_torch_export() -> None:
    def chain() -> nn.Sequential:
        return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))

    example = torch.randn(3, 16)
    assert watched_chain(chain(), example, "name") is not None
    hooked, patched, shared, normed = chain(), chain(), chain(), chain()
    hooked[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    patched[1].forward = lambda x: x
    shared[2].weight = shared[0].weight
    nn.utils.parametrizations.weight_norm(normed[0])
    own = nn.Sequential(type("Linear", (nn.Linear,), {"forward": lambda _self, x: x})(16, 16))
    for model in (hooked, patched, shared, normed, own, nn.Sequential(nn.Flatten(), *chain())):
        assert watched_chain(model, example, "name") is None
