"""A program whose weights are exchanged is that of a model that is traced with them."""

import copy

import pytest
import torch
from torch import Tensor, nn

from narrower.graph.called_modules import trace_or_call
from narrower.graph.program import with_weights
from narrower.graph.trace import trace
from narrower.models.build import build_model
from tests import computed_zoo, zoo


def retrained(model: nn.Module) -> nn.Module:
    """A copy with other numbers in every parameter and buffer that holds fractions."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (*changed.parameters(), *changed.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    return changed


class Constants(nn.Module):
    """Holds what no state dict shows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("shown", torch.arange(3.0), persistent=False)
        self.hidden = torch.tensor([0.5, 1.5, 2.5])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.shown + self.hidden + torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", [*zoo.MODELS, "jsc-toy", "resnet20", "constants"])
def test_weights_are_exchanged_without_tracing_again(name: str) -> None:
    torch.manual_seed(0)
    if name in zoo.MODELS:
        model, example = zoo.build(name)
    elif name == "constants":
        model, example = Constants(), torch.randn(3, 4)
    else:
        model, example = build_model(name), torch.randn(3, *((16,) if name == "jsc-toy" else (3, 32, 32)))
    other = retrained(model)
    program, wanted = trace(model, example), trace(other, example)
    exchanged = with_weights(program, other)
    assert exchanged is not None
    assert exchanged.network == wanted.network
    assert str(exchanged.graph) == str(wanted.graph)
    assert exchanged.content_hash == wanted.content_hash != program.content_hash
    with torch.no_grad():
        next(other.parameters()).zero_()  # the program keeps what it was given
    assert exchanged.content_hash == wanted.content_hash


@pytest.mark.parametrize("form", computed_zoo.FORMS)
def test_computed_weights_are_traced_anew(form: str) -> None:
    model, example = computed_zoo.build(form)
    program = trace(model, example)
    assert (program.folding is None) == (with_weights(program, model) is not None)


def test_other_modules_and_shapes_are_traced_anew() -> None:
    def chain(width: int, between: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Linear(4, width), between, nn.Linear(width, 2))

    example = torch.randn(3, 4)
    program = trace(chain(5, nn.ReLU()), example)
    assert with_weights(program, chain(6, nn.ReLU())) is None
    assert with_weights(program, chain(5, nn.Tanh())) is None
    assert with_weights(program, chain(5, nn.ReLU()).double()) is None
    assert with_weights(program, chain(5, nn.ReLU())) is not None


def test_a_model_without_a_graph_is_looked_at_again() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if float(x.sum()) > 0 else self.linear(-x)

    model = Branch()
    program = trace_or_call(model, torch.ones(3, 4))
    assert program.untraced is not None
    assert with_weights(program, model) is None
