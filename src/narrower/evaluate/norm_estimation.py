"""Batch norms whose statistics are those of the rounded network."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from narrower.evaluate.bias_correction import TRACED
from narrower.evaluate.definition import RoundingInterpreter
from narrower.graph.folding import BATCH_NORMS
from narrower.graph.lower import NORM_SCALE, NORM_SHIFT, lower
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.plan import Plan


def with_estimated_norms(model: nn.Module, plan: Plan, inputs: Tensor | Sequence[Tensor]) -> nn.Module:
    """Return a copy of ``model`` whose batch norms have the means and variances of the rounded network.

    ``inputs`` are training samples; they pass once, each norm with those before it estimated already. Norms
    that are folded, called several times, or that keep no statistics stay as they are.

    Raises:
        ModelError: the model cannot be traced.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    program = lower(trace(model, [argument[:TRACED] for argument in arguments]))
    changed = own_copy(model)
    estimating = _Estimating(program, plan.formats, changed)
    estimating.outputs(*arguments)
    return changed


class _Estimating(RoundingInterpreter):
    """Gives each batch norm of a module the statistics of what reaches it, and goes on with them."""

    def __init__(self, program: Program, plan: Plan, model: nn.Module) -> None:
        super().__init__(fx.GraphModule(nn.Module(), program.graph), plan, program)
        called = [operator.module for operator in program.network.operators]
        modules = dict(model.named_modules())
        self._norms: dict[str, nn.Module] = {
            operator.name: modules[operator.module]
            for operator in program.network.operators
            if called.count(operator.module) == 1
            and isinstance(norm := modules.get(operator.module), BATCH_NORMS)
            and norm.running_mean is not None
        }

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; a norm with the statistics of its samples."""
        value = self._normalised(n) if self._is_norm(n) else self._run(n)
        return self.write(n.meta["edge"], value) if "edge" in n.meta else value

    def _is_norm(self, n: fx.Node) -> bool:
        return any(n.meta.get(key) in self._norms for key in (NORM_SCALE, NORM_SHIFT))

    def _normalised(self, n: fx.Node) -> Tensor:
        (x, _), _ = self.fetch_args_kwargs_from_env(n)
        assert isinstance(x, Tensor)
        shape = [1, -1, *(1 for _ in range(x.dim() - 2))]
        if NORM_SCALE in n.meta:
            norm = self._norms[n.meta[NORM_SCALE]]
            _take_statistics(norm, x)
            return x * _scale_and_shift(norm)[0].reshape(shape)
        return x + _scale_and_shift(self._norms[n.meta[NORM_SHIFT]])[1].reshape(shape)


def _take_statistics(norm: nn.Module, x: Tensor) -> None:
    """By channel, over samples and places; the variance as PyTorch keeps it, over one less than there are."""
    channels = x.double().movedim(1, 0).flatten(1)
    norm.running_mean.copy_(channels.mean(1))  # type: ignore[operator]
    norm.running_var.copy_(channels.var(1, correction=min(1, channels.shape[1] - 1)))  # type: ignore[operator]


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """As ``lower`` computes them."""
    held = {name: tensor.detach().double() for name, tensor in norm.state_dict().items()}
    eps = norm.eps
    assert isinstance(eps, float)
    root = (held["running_var"] + eps).sqrt()
    scale = held["weight"] / root if "weight" in held else 1 / root
    shift = -held["running_mean"] * scale
    return scale.float(), (shift + held["bias"] if "bias" in held else shift).float()
