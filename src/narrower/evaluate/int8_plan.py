"""The plan with which integer kernels compute a whole network: bytes on every edge and in every weight."""

from collections.abc import Mapping, Sequence
from math import frexp

import numpy as np
import torch
from torch import Tensor, nn

from narrower.evaluate.edge_calibration import EdgeCalibration
from narrower.graph.edges import Edge, edges_of
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.calibration import USUAL, CalibrationSettings
from narrower.plan.formats.fixed import FRACTIONS, WIDTHS, FixedPoint
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.plan import LayerPlan, Plan
from narrower.transform.quantizers.affine import integers_and_scales

BYTE = 8
TRACED = 2  # samples
CHANNELS_FIRST = frozenset({"linear", "conv1d", "conv2d", "conv3d"})


def int8_plan(
    model: nn.Module,
    inputs: Tensor | Sequence[Tensor],
    *,
    scales: str = "power_of_two",
    calibration: CalibrationSettings = USUAL,
) -> Plan:
    """A plan in 8 bits for a model: every edge but the outputs, and the weights with a scale per channel.

    ``inputs`` are training samples [N, ...], from whose activations ranges follow. With ``scales``
    "power_of_two" integer kernels give our own evaluation bit for bit, and biases are on the grid of their
    products; with "free" ranges are held more closely, and kernels round some ties otherwise. Batch norms
    should be folded before (``fold_batch_norm``): between a convolution and its edge they keep it in float32.

    Raises:
        ModelError: the model cannot be traced.
    """
    arguments = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    program = lower(trace(model, [argument[:TRACED] for argument in arguments]))
    return int8_plan_of(program, arguments, scales=scales, calibration=calibration)


def int8_plan_of(
    program: Program,
    inputs: Sequence[Tensor],
    *,
    scales: str = "power_of_two",
    calibration: CalibrationSettings = USUAL,
) -> Plan:
    """The same for a lowered program."""
    found = edges_of(program.network)
    unsigned = frozenset(edge.name for edge in found.edges if edge.has_no_sign)
    known = EdgeCalibration(program, *inputs, unsigned=unsigned, settings=calibration)
    edges = {edge.name: _edge(known, edge, scales) for edge in found.edges if not edge.is_output}
    layers = {name: LayerPlan(output=number_format) for name, number_format in edges.items()}
    weights = _weights(program)
    for layer, weight in weights.items():
        number_format = Affine(BYTE, per="channel", scales=scales)
        (operator, *_) = program.network.product_layers[layer]
        read = [edges.get(name) for name in found.read_by(operator)]
        bias = _bias(program, layer, weight, number_format, read[0]) if read and read[0] else FLOAT32
        layers[layer] = LayerPlan(
            weight=number_format, bias=bias, output=layers.get(layer, LayerPlan()).output
        )
    return Plan.of(layers)


def _edge(known: EdgeCalibration, edge: Edge, scales: str) -> NumberFormat:
    if scales == "free":
        return known.affine(edge.name, BYTE, symmetric=False, scales=scales)
    return FixedPoint(BYTE, known.fraction(edge.name, BYTE), signed=not edge.has_no_sign)


def _weights(program: Program) -> Mapping[str, Tensor]:
    """The weights of products whose first dimension is that of the outputs."""
    held = _held(program)
    found = {}
    for layer, operators in program.network.product_layers.items():
        weight = program.network.weight_of(operators[0])
        if weight is not None and operators[0].kind in CHANNELS_FIRST and weight.name in held:
            found[layer] = held[weight.name]
    return found


def _held(program: Program) -> Mapping[str, Tensor]:
    return {name: program.tensors[node] for node, name in program.parameter_names.items()}


def _bias(
    program: Program, layer: str, weight: Tensor, weight_format: Affine, data: NumberFormat
) -> NumberFormat:
    """The finest steps that are whole steps of every channel's product; float32 where there are none."""
    parameter = program.network.bias_of(program.network.product_layers[layer][0])
    if parameter is None or data.grid is None or weight_format.scales != "power_of_two":
        return FLOAT32
    values = _held(program)[parameter.name]
    _, steps = integers_and_scales(weight.detach().float(), weight_format)
    coarsest = data.grid.frac + 1 - frexp(float(steps.max()))[1]
    fraction = min(max(coarsest, FRACTIONS.low), FRACTIONS.high)
    largest = float(torch.as_tensor(values).abs().max())
    width = int(np.clip(frexp(largest)[1] + 1 + fraction, 2, WIDTHS.high))
    return FixedPoint(width, fraction)
