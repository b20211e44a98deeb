"""AdaRound: which weights are rounded up and which down, so that each layer's outputs change least."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from narrower.evaluate.bias_correction import TRACED
from narrower.evaluate.definition import RoundingInterpreter
from narrower.evaluate.patches import Correlations, correlations, weight_groups
from narrower.graph.lower import lower
from narrower.graph.nodes import base_name
from narrower.graph.own_copy import own_copy
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.transform.quantizers.affine import each_in_steps
from narrower.transform.quantizers.fixed_channels import factors_of
from narrower.transform.quantizers.quantize import quantize

Learnt = FixedPoint | FixedChannels | Affine
PRODUCTS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1  # of the rectified sigmoid (Nagel et al. 2020, equation 23)
STEPS, RATE = 300, 0.05
WARM_UP = 0.2  # of the steps are without the regulariser
BETAS = 20.0, 2.0  # its exponent in the beginning and in the end (equation 24)
REGULARISER = 0.2


def with_learned_rounding(
    model: nn.Module, plan: Plan, inputs: Tensor | Sequence[Tensor], *, steps: int = STEPS
) -> nn.Module:
    """Return a copy of ``model`` whose weights lie on the values of their formats, rounded for least loss.

    ``inputs`` are training samples. Layer by layer in the order of the network, each with its data as the
    rounded network before it gives them, weights are rounded so that the product is near that of the float
    network (Nagel et al. 2020, equations 21 to 25, without the activation function). What stays nearest:
    where an output's error is no smaller than with rounding to nearest, weights at the ends of a range,
    weights that several products read, and formats other than fixed point and affine integers. Nothing is
    drawn.

    Raises:
        ModelError: the model cannot be traced.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    program = lower(trace(model, [argument[:TRACED] for argument in arguments]))
    plain = RoundingInterpreter(fx.GraphModule(nn.Module(), program.graph), Plan(), program)
    learning = _Learning(program, plan.formats, plain, steps)
    with torch.no_grad():
        _run_together(program, (plain, learning), arguments)
        changed = own_copy(model)
        for name, parameter in changed.named_parameters():
            if name in learning.found:
                parameter.copy_(learning.found[name])
    return changed


def _run_together(
    program: Program, interpreters: Sequence[RoundingInterpreter], arguments: Sequence[Tensor]
) -> None:
    """Run programs node by node, so that each node's values of both are there at a time."""
    for interpreter in interpreters:
        interpreter.begin(*arguments)
    for node in program.graph.nodes:
        if node.op == "output":
            break
        for interpreter in interpreters:
            interpreter.env[node] = interpreter.run_node(node)
        for interpreter in interpreters:
            for past in interpreter.user_to_last_uses.get(node, ()):
                interpreter.env.pop(past, None)


class _Learning(RoundingInterpreter):
    """Runs the rounded network; before each product its weights are rounded for least loss."""

    def __init__(self, program: Program, plan: Plan, plain: RoundingInterpreter, steps: int) -> None:
        super().__init__(fx.GraphModule(nn.Module(), program.graph), plan, program)
        self._plain, self._steps = plain, steps
        self._readers = Counter(
            source.name for node in program.graph.nodes for source in node.all_input_nodes
        )
        self.found: dict[str, Tensor] = {}

    def _run(self, n: fx.Node) -> Any:
        number_format = self._learnt_format(n)
        if number_format is None:
            return super()._run(n)
        (x, weight, *others), keywords = self.fetch_args_kwargs_from_env(n)
        assert isinstance(x, Tensor)
        assert isinstance(weight, Tensor)
        x = quantize(x, self._plan.layer(n.meta["layer"]).data)
        parameter = n.args[1]
        assert isinstance(parameter, fx.Node)
        wanted = self._plain.env[n]
        rounded = learned_weight(
            weight.float(), number_format, correlations(n, x, wanted, weight), self._steps
        )
        self.found[self._program.parameter_names[parameter.name]] = rounded
        return self.call_function(n.target, (x, rounded, *others), keywords)

    def _learnt_format(self, n: fx.Node) -> Learnt | None:
        """The format of the weight of a product, where its rounding is to be learned."""
        if "layer" not in n.meta or base_name(n) not in PRODUCTS or "bias_of" in n.meta:
            return None
        weight = n.args[1]
        own = self._plan.layer(n.meta["layer"]).weight
        if (
            not isinstance(weight, fx.Node)
            or weight.name not in self._program.parameter_names
            or self._readers[weight.name] != 1
            or not isinstance(own, Learnt)
        ):
            return None
        return own


def learned_weight(weight: Tensor, number_format: Learnt, seen: Correlations, steps: int = STEPS) -> Tensor:
    """The weight on the values of its format; no output's squared error is larger than rounded to nearest."""
    grid = _grid(weight, number_format)
    nearest = quantize(weight, number_format)
    groups = seen.groups
    chosen = weight_groups(_learned(grid, seen, steps).to(weight.dtype), groups)
    given = weight_groups(nearest, groups)
    is_better = seen.errors(chosen) < seen.errors(given)
    rounded = torch.where(is_better[..., None], chosen, given).reshape(weight.shape)
    # What the format makes of it must be itself: else the scales would be others.
    return rounded if torch.equal(quantize(rounded, number_format), rounded) else nearest


@dataclass(frozen=True, slots=True)
class _Grid:
    """Of each weight: itself in steps, the step, the ends of the range, and whether it stays nearest."""

    scaled: Tensor
    step: Tensor
    low: Tensor
    high: Tensor
    stays: Tensor


def _grid(weight: Tensor, number_format: NumberFormat) -> _Grid:
    if isinstance(number_format, Affine):
        scaled, step, low, high = each_in_steps(weight, number_format)
    elif isinstance(number_format, FixedChannels):
        factors = factors_of(number_format, tuple(weight.shape)).to(weight)
        scaled = weight * factors
        step = factors.reciprocal().expand_as(weight)
        low, high = (torch.full_like(weight, float(end)) for end in number_format.steps.integer_range)
    else:
        assert isinstance(number_format, FixedPoint)
        ends = number_format.integer_range
        scaled = weight * 2.0**number_format.frac
        step = torch.full_like(weight, number_format.step)
        low, high = (torch.full_like(weight, float(end)) for end in ends)
    nearest = scaled.round()
    return _Grid(scaled, step, low, high, (nearest <= low) | (nearest >= high))


def _learned(grid: _Grid, seen: Correlations, steps: int) -> Tensor:
    """Weights rounded up or down, by gradient descent on the regularised squared error."""
    floor = grid.scaled.floor()
    share = (grid.scaled - floor).clamp(0.001, 0.999)
    width = STRETCH_HIGH - STRETCH_LOW
    soft = -(width / (share - STRETCH_LOW) - 1).log()
    soft.requires_grad_()
    nearest = grid.scaled.round().clamp(grid.low, grid.high)

    def weights(up: Tensor) -> Tensor:
        whole = (floor + up).clamp(grid.low, grid.high)
        return torch.where(grid.stays, nearest, whole) * grid.step

    # In units of what one step costs, so that the regulariser has the same weight in every layer.
    unit = weight_groups(grid.step, seen.groups).square().mean(-1) * seen.power
    with torch.enable_grad():
        optimizer = torch.optim.Adam([soft], RATE)
        for step in range(steps):
            up = (soft.sigmoid() * width + STRETCH_LOW).clamp(0, 1)
            loss = (seen.errors(weight_groups(weights(up), seen.groups)) / unit.clamp(min=1e-30)).sum()
            progress = (step / steps - WARM_UP) / (1 - WARM_UP)
            if progress > 0:
                beta = BETAS[0] + (BETAS[1] - BETAS[0]) * progress
                loss = loss + REGULARISER * (1 - (2 * up - 1).abs().pow(beta)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    is_up = (soft.detach().sigmoid() * width + STRETCH_LOW) >= 0.5  # noqa: PLR2004 - the nearer
    return weights(is_up.to(floor.dtype))
