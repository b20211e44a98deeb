"""Learned networks as logic: da4ml builds each sum from the bits that its weights have."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError, MissingExtraError
from narrower.export.check import Check, compare
from narrower.export.logic import run_logic
from narrower.export.verilator import run_verilator
from narrower.export.verilog import MODULE, write_verilog
from narrower.preparation.learning.deployed import LearnedChain, LearnedLayer

if TYPE_CHECKING:
    from da4ml.types import CombLogic


def learned_logic(chain: LearnedChain) -> "CombLogic":
    """Logic of whole numbers: the inputs that have bits, in steps, to the outputs in steps of the last sums.

    Nothing is fitted: rounding half up is an addition and a shift, and a value takes its own width.

    Raises:
        ExportError: no input reaches an output.
        MissingExtraError: da4ml is not installed.
    """
    try:
        from da4ml.trace import FixedVariableArray, comb_trace
    except ImportError as error:
        raise MissingExtraError("da4ml", "rtl", "logic") from error
    first, last = chain.layers[0], chain.layers[-1]
    used = first.data_widths > 0
    if not used.any():
        raise ExportError("no input of this network reaches an output: there is no logic to build")
    low, high = (limit[used].astype(np.float64) for limit in first.data_limits)
    inputs = FixedVariableArray.from_lhs(low, high, np.ones(len(low)))
    values: Any = inputs
    for layer, following in zip(chain.layers, [*chain.layers[1:], None], strict=True):
        weights = np.ldexp(layer.weight_values, -layer.data_fractions[:, None])
        sums = values @ weights[layer.data_widths > 0] + layer.bias_values
        if following is not None:
            rounded = [
                _rounded(sums[i], following, i) for i in np.flatnonzero(following.data_widths).tolist()
            ]
            values = FixedVariableArray(np.array(rounded, dtype=object), hwconf=inputs.hwconf)
    return comb_trace(inputs, sums * 2.0**last.sum_fraction, keep_dead_inputs=True)


def _rounded(total: Any, layer: LearnedLayer, position: int) -> Any:
    """One of a layer's data from its sum, in steps."""
    fraction, width = int(layer.data_fractions[position]), int(layer.data_widths[position])
    if total.low == total.high:  # da4ml does not round a constant here
        only = np.zeros((1, len(layer.data_widths)))
        only[0, position] = max(float(total.low), 0.0)
        return total.from_const(float(layer.rounded(only)[0, position]), hwconf=total.hwconf)
    steps = total * 2.0**fraction
    if layer.data_wrap:
        return steps.relu(width, 0, "RND")
    positive = steps.relu(None, 0, "RND")
    highest = 2**width - 1
    return positive.min_of(highest) if positive.high > highest else positive


def learned_luts(chain: LearnedChain) -> float:
    """Look-up tables by da4ml's cost of the adders, shifts and selections.

    Raises:
        MissingExtraError: da4ml is not installed.
    """
    return float(learned_logic(chain).cost)


def host_inputs(chain: LearnedChain, inputs_ni: NDArray[np.float32]) -> NDArray[np.int64]:
    """The whole numbers that the logic is fed, of the inputs that have bits."""
    first = chain.layers[0]
    steps = first.rounded(inputs_ni.astype(np.float64))
    return np.asarray(steps[:, first.data_widths > 0].astype(np.int64))


def deliver_learned_verilog(
    chain: LearnedChain, inputs_ni: NDArray[np.float32], directory: Path
) -> tuple[Check, ...]:
    """Write the module ``network``; run it in Verilator where that is installed, and in da4ml's interpreter.

    Raises:
        MissingExtraError: da4ml is not installed.
    """
    logic = learned_logic(chain)
    write_verilog(logic, directory)
    fed = host_inputs(chain, inputs_ni)
    wanted, fraction = chain.whole_outputs(inputs_ni)
    runs = {"da4ml interpreter": run_logic(logic, fed)}
    if shutil.which("verilator"):
        runs = {"Verilator": run_verilator(logic, MODULE, directory, fed), **runs}
    conditions = f"whole outputs in steps of 2**-{fraction}"
    return tuple(
        compare(found.astype(np.float32), wanted.astype(np.float32), runtime, conditions)
        for runtime, found in runs.items()
    )
