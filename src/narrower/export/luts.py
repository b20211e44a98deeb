"""How much logic a plan takes: look-up tables of an FPGA, and a cheap stand-in for them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError
from narrower.export.chain_of_program import has_learned_widths, learned_chain
from narrower.export.integer_network import integer_network, output_fraction_for
from narrower.export.learned_logic import learned_luts
from narrower.export.learned_program_logic import ProgramLogic
from narrower.export.logic import build_logic
from narrower.export.pipelined import Pipelined, within
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learning.effective_bits import effective_bit_operations

if TYPE_CHECKING:
    from da4ml.types import CombLogic


def luts(program: Program, plan: Plan, outputs: NDArray[np.float32]) -> float:
    """Look-up tables by da4ml's cost of the adders, shifts and selections of the actual integer weights.

    ``outputs`` [N, classes] are our own for some samples: they decide how finely the outputs are rounded.

    Raises:
        ExportError: the plan cannot be built in logic.
        MissingExtraError: da4ml is not installed.
    """
    learned = learned_chain(program, plan)
    if learned is not None:
        return learned_luts(learned)
    if has_learned_widths(plan):
        return ProgramLogic(program, plan).luts
    return float(logic_of(program, plan, outputs).cost)


def clocked(program: Program, plan: Plan, outputs: NDArray[np.float32], clock_ns: float) -> Pipelined:
    """The logic of a plan, cut into as few stages as a clock period allows.

    Raises:
        ExportError: the plan cannot be built in logic, or not so fast.
        MissingExtraError: da4ml is not installed.
    """
    if learned_chain(program, plan) is not None or has_learned_widths(plan):
        raise ExportError("learned networks are written as logic without a clock: they have no registers")
    return within(logic_of(program, plan, outputs), clock_ns)


def logic_of(program: Program, plan: Plan, outputs: NDArray[np.float32]) -> "CombLogic":
    """The adders, shifts and selections of a plan whose widths are not learned.

    Raises:
        ExportError: the plan cannot be built in logic.
        MissingExtraError: da4ml is not installed.
    """
    return build_logic(integer_network(program, plan, output_fraction_for(outputs)))


def ebops(program: Program, plan: Plan) -> int:
    """Effective bit operations: data bits times the bits that each weight really needs (Sun et al. 2024).

    A weight's trailing zeros and leading signs take no logic; zero takes none at all.

    Raises:
        ExportError: a layer is not in fixed point.
    """
    return effective_bit_operations(program, plan)
