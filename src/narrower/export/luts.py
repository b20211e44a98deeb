"""How much logic a plan takes: look-up tables of an FPGA, and a cheap stand-in for them."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
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
from narrower.export.verilog import MODULE, write_verilog
from narrower.graph.program import Program
from narrower.plan.plan import Plan
from narrower.preparation.learning.effective_bits import effective_bit_operations

if TYPE_CHECKING:
    from da4ml.types import CombLogic

LUT_CELL = re.compile(r"^\s+LUT[1-6]\s+(\d+)\s*$", re.MULTILINE)


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
    return float(_logic(program, plan, outputs).cost)


def clocked(program: Program, plan: Plan, outputs: NDArray[np.float32], clock_ns: float) -> Pipelined:
    """The logic of a plan, cut into as few stages as a clock period allows.

    Raises:
        ExportError: the plan cannot be built in logic, or not so fast.
        MissingExtraError: da4ml is not installed.
    """
    if learned_chain(program, plan) is not None or has_learned_widths(plan):
        raise ExportError("learned networks are written as logic without a clock: they have no registers")
    return within(_logic(program, plan, outputs), clock_ns)


def _logic(program: Program, plan: Plan, outputs: NDArray[np.float32]) -> "CombLogic":
    return build_logic(integer_network(program, plan, output_fraction_for(outputs)))


def ebops(program: Program, plan: Plan) -> int:
    """Effective bit operations: data bits times the bits that each weight really needs (Sun et al. 2024).

    A weight's trailing zeros and leading signs take no logic; zero takes none at all.

    Raises:
        ExportError: a layer is not in fixed point.
    """
    return effective_bit_operations(program, plan)


def yosys_luts(program: Program, plan: Plan, outputs: NDArray[np.float32]) -> int:
    """Look-up tables after synthesis by Yosys (``synth_xilinx -abc9``), in tens of seconds.

    Raises:
        ExportError: Yosys is not installed, or fails.
    """
    if shutil.which("yosys") is None:
        raise ExportError("counting look-up tables by synthesis needs Yosys: apt-get install yosys")
    logic = _logic(program, plan, outputs)
    with tempfile.TemporaryDirectory() as directory:
        write_verilog(logic, Path(directory))
        found = sorted((Path(directory) / "src").rglob("*.v"))
        unused = ("wrapper", "lookup_table")  # the second cannot be read without a table
        read = " ".join(str(path) for path in found if not any(word in path.name for word in unused))
        script = f"read_verilog {read}; synth_xilinx -abc9 -noiopad -noclkbuf -top {MODULE} -flatten; stat"
        done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ExportError(f"Yosys failed: {done.stderr.strip().splitlines()[:3]}")
    statistics = done.stdout[done.stdout.rfind("Number of cells") :]
    return sum(int(count) for count in LUT_CELL.findall(statistics))
