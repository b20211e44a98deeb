"""A model and a plan as the network that was scored, lowered for the first batch that it is given."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from narrower.evaluate.deployed import deployed
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.models.arguments import example_like
from narrower.plan.plan import Plan
from narrower.transform.quantized import quantized


def deployed_model(model: nn.Module, plan: Plan, arguments: Sequence[Tensor]) -> nn.Module:
    """The module that computes what is scored of a model under a plan; ``arguments`` hold 2 samples or more.

    A model that cannot be traced is called as it is, with the operands of its layers rounded, which is how
    it is scored.

    Raises:
        NarrowerError: it cannot be followed, or the plan does not fit.
    """
    return deployed_module(model, lower(trace_or_call(model, arguments)), plan)


def deployed_module(model: nn.Module, program: Program, plan: Plan) -> nn.Module:
    """The same for a model whose lowered program is known."""
    return quantized(model, plan).eval() if program.untraced is not None else deployed(program, plan)


class DeployedAtFirstCall(nn.Module):
    """A network as it was scored under a plan, for arguments whose shape the first call shows.

    From then on ``network`` is what ``deployed_model`` gives, and takes samples of that shape; ``model``
    holds the weights until then.
    """

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        super().__init__()
        self.model: nn.Module | None = model.eval()
        self.network: nn.Module | None = None
        self._plan = plan

    def forward(self, *arguments: Tensor) -> Any:
        if self.network is None:
            assert self.model is not None
            example = example_like(arguments)
            self.network = deployed_model(self.model, self._plan, example)
            self.model = None
        return self.network(*arguments)
