"""What cannot be exported is known without exporting."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrower.errors import ExportError
from narrower.export.onnx_model import to_onnx
from narrower.export.rehearsal import unexported
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan
from tests import products_zoo, zoo


class Strange(nn.Module):
    """Operators without a rule, before and after some that have one."""

    def forward(self, x: Tensor) -> Tensor:
        parts = F.max_pool2d(torch.special.i0(x), 2, return_indices=True)
        return F.unfold(parts[0] + parts[1], 2).flatten(1).cumprod(1)


def _program(model: nn.Module, inputs: Tensor) -> Program:
    return lower(trace(model.eval(), inputs, "model"))


def test_everything_that_has_no_rule_is_named_at_once() -> None:
    reasons = unexported(_program(Strange(), torch.randn(3, 2, 6, 6)))
    named = ("special_i0", "no rule for result 1", "im2col", "cumprod")
    assert len(reasons) == len(named)
    assert all(name in reason for name, reason in zip(named, reasons, strict=True))


class Masked(nn.Module):
    """Counts places with an operator that has no rule; they are the same for each sample."""

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1])[None].expand(x.shape[0], -1)
        return x * (torch.diff(places, dim=1, prepend=places[:, :1] - 1).cumsum(1) > 2)


def test_what_is_written_as_a_constant_needs_no_rule() -> None:
    program = _program(Masked(), torch.randn(3, 5))
    assert unexported(program) == ()
    assert "CumSum" not in {node.op_type for node in to_onnx(program, Plan()).graph.node}


@pytest.mark.parametrize("name", [*zoo.MODELS, *products_zoo.MODELS, "strange"])
def test_it_is_what_an_export_says(name: str) -> None:
    if name == "strange":
        model, inputs = Strange(), torch.randn(3, 2, 6, 6)
    else:
        model, inputs = (zoo if name in zoo.MODELS else products_zoo).build(name)
    program = _program(model, inputs)
    try:
        to_onnx(program, Plan())
        first: tuple[str, ...] = ()
    except ExportError as error:
        first = (str(error),)
    assert unexported(program)[:1] == first
