"""From an integer network to combinational logic, through da4ml."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import MissingExtraError
from narrower.export.affine_fit import AffineSteps
from narrower.export.integer_network import IntegerNetwork, Stage

if TYPE_CHECKING:
    from da4ml.types import CombLogic


def build_logic(network: IntegerNetwork) -> "CombLogic":
    """Build the adders, shifts and selections of a network; da4ml shares what the weights have in common.

    Raises:
        MissingExtraError: da4ml is not installed.
    """
    try:
        from da4ml.trace import FixedVariableArray, comb_trace
    except ImportError as error:
        raise MissingExtraError("da4ml", "rtl", "logic") from error
    low, high = (np.full(network.input_count, float(limit)) for limit in network.input_range)
    inputs = FixedVariableArray.from_lhs(low, high, np.ones(network.input_count))
    values: Any = inputs
    for stage in network.stages:
        sums = values @ stage.weights.astype(np.float64)
        rounded = [_steps(sums[i], step, stage, i) for i, step in enumerate(stage.steps)]
        values = FixedVariableArray(np.array(rounded, dtype=object), hwconf=inputs.hwconf)
    return comb_trace(inputs, values, keep_dead_inputs=True)


def _steps(total: Any, steps: AffineSteps, stage: Stage, output: int) -> Any:
    """One output of a stage from its sum."""
    if steps.factor == 0 and not steps.corrections:
        at = int(stage.low[output])
        return float(steps(np.array([at]))[0])
    moved = (total * float(steps.factor) + float(steps.offset)) * 2.0**-steps.shift
    keeps_sign, whole, _ = (int(part) for part in moved.kif)
    value = moved.quantize(keeps_sign, whole, 0, "WRAP", "TRN")  # the floor; no bit is lost above
    if steps.low is not None:
        value = value.relu() if steps.low == 0 else value.max_of(steps.low)
    if steps.high is not None:
        value = value.min_of(steps.high)
    for at, difference in steps.corrections:
        value = value + _equals(total, at) * float(difference)
    return value


def _equals(total: Any, constant: int) -> Any:
    """1 where a sum is ``constant``, else 0."""
    return (total - float(constant)).unary_bit_op("any")._ne(1.0)


def run_logic(logic: "CombLogic", inputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run whole-number inputs [N, K] through da4ml's interpreter."""
    outputs = logic.predict(inputs.astype(np.float64), n_threads=1)
    return np.asarray(outputs).reshape(len(inputs), -1).astype(np.int64)
