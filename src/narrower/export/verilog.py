"""Verilog of a plan, with Verilator's word that it computes what the search scored."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.errors import MissingExtraError
from narrower.export.check import Check, compare
from narrower.export.integer_network import (
    Chain,
    IntegerNetwork,
    integer_network,
    output_fraction_for,
    rounded_outputs,
)
from narrower.export.logic import build_logic, run_logic
from narrower.export.pipelined import ADDER_NS, NO_CLOCK, Clock
from narrower.export.verilator import run_verilator
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.tasks.classification.decided import decided

if TYPE_CHECKING:
    from da4ml.types import CombLogic, Pipeline

MODULE = "network"


def write_verilog(logic: "CombLogic | Pipeline", directory: Path) -> None:
    """Write a module ``network`` below ``directory/src``: combinational, or with a clock.

    Raises:
        MissingExtraError: da4ml is not installed.
    """
    _rtl_model(logic, directory).write()


def deliver_verilog(
    program: Program,
    plan: Plan,
    inputs: Tensor,
    outputs: NDArray[np.float32],
    directory: Path,
    clock: Clock = NO_CLOCK,
) -> tuple[Path, tuple[Check, ...], tuple[str, ...]]:
    """Write the module, run it in da4ml's interpreter and, where it is installed, in Verilator.

    With ``NO_CLOCK`` the logic is combinational. Returns the directory, the checks against ``outputs``
    [N, classes] and notes on the ports.

    Raises:
        ExportError: the plan cannot be built in logic; the message says why.
    """
    fraction = output_fraction_for(outputs)
    network = integer_network(program, plan, fraction)
    logic = build_logic(network)
    fed = Chain(program, plan).host_inputs(inputs)
    wanted = _scores(rounded_outputs(outputs, fraction), fraction)
    conditions = f"outputs rounded half up to steps of 2**-{fraction}"
    clocked = clock.cut(logic)
    write_verilog(clocked.logic if clocked else logic, directory)
    checks = [compare(_scores(run_logic(logic, fed), fraction), wanted, "da4ml interpreter", conditions)]
    notes = _notes(network, outputs, wanted)
    if clocked:
        notes = (
            *notes,
            f"{clocked.stages} stages: a sample enters at every clock, its outputs are there after "
            f"{clocked.cycles}; {clocked.registers:,} registers",
        )
        if clock.period_ns:
            notes = (
                *notes,
                f"at a clock of {clock.period_ns:g} ns: {clocked.latency_ns(clock.period_ns):g} ns from a "
                f"sample to its outputs, with {ADDER_NS:g} ns for each adder; place and route decides",
            )
    if shutil.which("verilator"):
        simulated = _scores(
            run_verilator(logic, MODULE, directory, fed, clocked.cycles if clocked else 0), fraction
        )
        checks.insert(0, compare(simulated, wanted, "Verilator", conditions))
    else:
        notes = (*notes, "Verilator is not installed: the interpreter alone has run the logic")
    return directory, tuple(checks), notes


def _notes(
    network: IntegerNetwork, outputs: NDArray[np.float32], wanted: NDArray[np.float32]
) -> tuple[str, ...]:
    changed = int((decided(outputs) != decided(wanted)).sum())
    low, high = network.input_range
    corrections = sum(len(step.corrections) for stage in network.stages for step in stage.steps)
    return (
        f"the {network.input_count} inputs are whole numbers {low} to {high} in steps of "
        f"2**-{network.input_fraction}: whoever feeds the module computes what precedes "
        f"{network.stages[0].layer} and rounds it to {network.input_format.text}",
        f"the outputs are whole numbers in steps of 2**-{network.output_fraction}; rounding to these steps "
        f"changes the class of {changed} samples",
        "exact for every accumulator that the inputs can reach, not only for these samples; "
        f"{corrections} single values are corrected where float32 rounds across a tie",
    )


def _scores(values: NDArray[np.int64], fraction: int) -> NDArray[np.float32]:
    return (values * 2.0**-fraction).astype(np.float32)


def _rtl_model(logic: "CombLogic | Pipeline", directory: Path) -> Any:
    try:
        from da4ml.codegen import VerilogModel
    except ImportError as error:
        raise MissingExtraError("da4ml", "rtl", "Verilog") from error
    return VerilogModel(logic, MODULE, directory, print_latency=False)
