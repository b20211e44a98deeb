"""A chain of fixed-point linear layers as whole numbers alone."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from narrower.errors import ExportError
from narrower.export.affine_fit import AffineSteps, fit_affine
from narrower.export.exactness import ELEMENTWISE
from narrower.export.formats.catalogue import refusal
from narrower.export.formats.fixed_each import on_one_grid
from narrower.export.integers import whole_numbers
from narrower.graph.nodes import base_name
from narrower.graph.program import Program
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.grid import Grid
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import Plan
from narrower.tasks.classification.decided import decided
from narrower.transform.quantizers.quantize import quantize

FLATTENING = frozenset({"reshape", "view", "flatten", "_unsafe_view"})
LARGEST_TABLE = 2**26  # accumulators looked at, over all channels of a layer
FINEST_OUTPUT = 16
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """One linear layer: ``steps(x @ weights)``, all whole numbers.

    ``weights`` is [K, N]; ``low`` and ``high`` [N] are the accumulators that its inputs can reach; ``steps``
    holds what becomes of them, for each of the N outputs.
    """

    layer: str
    weights: Integers
    low: Integers
    high: Integers
    steps: tuple[AffineSteps, ...]


@dataclass(frozen=True)
class IntegerNetwork:
    """A network whose ports and wires carry whole numbers.

    An input stands for ``x`` in steps of ``input_format``'s grid and lies in ``input_range``; an output
    stands for ``y / 2**output_fraction``: our own output, rounded half up.
    """

    input_format: NumberFormat
    input_fraction: int
    input_range: tuple[int, int]
    input_count: int
    stages: tuple[Stage, ...]
    output_fraction: int


class Chain:
    """The parts of a lowered program between its products.

    Raises:
        ExportError: the network is no chain of fixed-point linear layers; the message names what is not.
    """

    def __init__(self, program: Program, plan: Plan) -> None:
        if program.untraced is not None:
            raise ExportError(f"{program.untraced.reason}; without a graph there is no logic to build")
        self._tensors = program.tensors
        self._plan = plan
        self.segments: list[list[fx.Node]] = [[]]
        self.products: list[fx.Node] = []
        node = next(n for n in program.graph.nodes if n.op == "placeholder" and n.name not in program.tensors)
        while (following := self._only_user(node)).op != "output":
            node = following
            if "layer" in node.meta:
                self._check_product(node)
                self.products.append(node)
                self.segments.append([])
            elif base_name(node) in ELEMENTWISE | FLATTENING:
                self.segments[-1].append(node)
            else:
                raise ExportError(f"no logic for the operator {node.target} ({node.name})")
        if not self.products:
            raise ExportError("the network has no products: nothing to build in logic")

    def _only_user(self, node: fx.Node) -> fx.Node:
        users = [user for user in node.users if base_name(user) != "sym_size"]
        if len(users) != 1:
            raise ExportError(
                f"{node.name}: {len(users)} operators read it; logic is built for chains of linear layers"
            )
        return users[0]

    def _check_product(self, node: fx.Node) -> None:
        layer = node.meta["layer"]
        if base_name(node) != "linear":
            raise ExportError(f"{layer}: a {base_name(node)} operator; logic is built for linear layers")
        chosen = self._plan.layer(layer)
        if reason := refusal(chosen.data, "verilog"):
            raise ExportError(f"{layer}: its data is {reason}")
        if chosen.weight.grid is None and not isinstance(chosen.weight, FixedChannels):
            raise ExportError(f"{layer}: its weight is {chosen.weight.text}; logic needs whole steps")

    def data_format(self, index: int) -> NumberFormat:
        """The format of a product's data."""
        return self._plan.layer(self.products[index].meta["layer"]).data

    def data_grid(self, index: int) -> Grid:
        """The grid of a product's data."""
        grid = self.data_format(index).grid
        assert grid is not None
        return grid

    def weights(self, index: int) -> tuple[Integers, int]:
        """A product's weights [K, N] in steps, and the fraction bits of its accumulators."""
        node = self.products[index]
        number_format = self._plan.layer(node.meta["layer"]).weight
        source = node.args[1]
        assert isinstance(source, fx.Node)
        values, number_format = on_one_grid(self._tensors[source.name], number_format)
        if number_format.grid is None:
            raise ExportError(f"{node.meta['layer']}: its weight spans more bits than logic has")
        integers = whole_numbers(values, number_format).T
        return integers, number_format.grid.frac + self.data_grid(index).frac

    def after(self, index: int, values: Tensor) -> Tensor:
        """What follows product ``index`` (-1: the input) up to the next one, on values [M, N]."""
        for node in self.segments[index + 1]:
            if base_name(node) in FLATTENING:
                values = values.flatten(1)
                continue
            arguments = [self._argument(node, position, values) for position in range(len(node.args))]
            assert callable(node.target)
            values = node.target(*arguments, **node.kwargs)
        return values

    def _argument(self, node: fx.Node, position: int, values: Tensor) -> object:
        given = node.args[position]
        if not isinstance(given, fx.Node):
            return given
        if given.name not in self._tensors:
            return values
        held = self._tensors[given.name]
        if position == 1 and "bias_of" in node.meta:
            return quantize(held, self._plan.layer(node.meta["bias_of"]).bias)
        return held

    def host_inputs(self, inputs: Tensor) -> Integers:
        """The whole numbers [N, K] that stand before the first product: what the logic is fed."""
        with torch.inference_mode():
            return whole_numbers(self.after(-1, inputs), self.data_format(0))


def integer_network(program: Program, plan: Plan, output_fraction: int) -> IntegerNetwork:
    """Express a plan in whole numbers, equal to its evaluation in float32 for every input.

    What lies between two products (bias, batch norm, ReLU, rounding) becomes one multiplication, one addition
    and one shift for each channel, found by looking at every accumulator that can occur.

    Raises:
        ExportError: no chain of fixed-point linear layers, or a rounding that this arithmetic cannot give.
    """
    chain = Chain(program, plan)
    first = chain.data_format(0)
    low, high = chain.data_grid(0).limits
    input_range = (max(low, 0) if _ends_in_relu(chain.segments[0]) else low, high)
    count = chain.weights(0)[0].shape[0]
    reach = (np.full(count, input_range[0]), np.full(count, input_range[1]))
    stages = []
    for index in range(len(chain.products)):
        stage, reach = _stage(chain, index, reach, output_fraction)
        stages.append(stage)
    return IntegerNetwork(first, chain.data_grid(0).frac, input_range, count, tuple(stages), output_fraction)


def _stage(
    chain: Chain, index: int, reach: tuple[Integers, Integers], output_fraction: int
) -> tuple[Stage, tuple[Integers, Integers]]:
    layer = chain.products[index].meta["layer"]
    weights, fraction = chain.weights(index)
    ends = np.stack([weights * reach[0][:, None], weights * reach[1][:, None]])
    low, high = ends.min(0).sum(0), ends.max(0).sum(0)
    rows = int((high - low).max()) + 1
    if rows * len(low) > LARGEST_TABLE:
        raise ExportError(f"{layer}: its sums take {rows:,} values, too many to look at each of them")
    # [M, N]: every accumulator of each channel; shorter ranges repeat their last one
    accumulators = np.minimum(low + np.arange(rows)[:, None], high)
    with torch.inference_mode():
        values = chain.after(index, torch.from_numpy(accumulators * 2.0**-fraction).float())
    is_last = index + 1 == len(chain.products)
    if is_last:
        wanted = np.floor(values.double().numpy() * 2.0**output_fraction + 0.5).astype(np.int64)
        bounds: tuple[int | None, int | None] = (0 if _ends_in_relu(chain.segments[-1]) else None, None)
    else:
        wanted = whole_numbers(values, chain.data_format(index + 1))
        lowest, highest = chain.data_grid(index + 1).limits
        bounds = (max(lowest, 0) if _ends_in_relu(chain.segments[index + 1]) else lowest, highest)
    steps = []
    for channel in range(len(low)):
        used = slice(0, int(high[channel] - low[channel]) + 1)
        fitted = fit_affine(accumulators[used, channel], wanted[used, channel], *bounds)
        if fitted is None:
            raise ExportError(
                f"{layer}: no multiplication, addition and shift takes the steps of what follows (output "
                f"{channel}); ties to even do that where sums are coarse, rounding=half_up has none"
            )
        steps.append(fitted)
    return Stage(layer, weights, low, high, tuple(steps)), (wanted.min(0), wanted.max(0))


def _ends_in_relu(segment: list[fx.Node]) -> bool:
    computing = [node for node in segment if base_name(node) not in FLATTENING]
    return bool(computing) and base_name(computing[-1]) == "relu"


def run_integer_network(network: IntegerNetwork, inputs: Integers) -> Integers:
    """Evaluate whole-number inputs [N, K] to whole-number outputs."""
    values = inputs
    for stage in network.stages:
        sums = values @ stage.weights
        values = np.stack([step(sums[:, i]) for i, step in enumerate(stage.steps)], axis=1)
    return values


def output_fraction_for(outputs: NDArray[np.float32]) -> int:
    """The fewest fraction bits that leave every sample's class what it is (at most 16)."""
    classes = decided(outputs)
    for fraction in range(FINEST_OUTPUT):
        if (decided(rounded_outputs(outputs, fraction)) == classes).all():
            return fraction
    return FINEST_OUTPUT


def rounded_outputs(outputs: NDArray[np.float32], fraction: int) -> Integers:
    """Outputs in steps of ``2**-fraction``, rounded half up."""
    return np.floor(outputs.astype(np.float64) * 2.0**fraction + 0.5).astype(np.int64)
