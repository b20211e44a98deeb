"""Write a plan as logic in Verilog, simulate it, and compare it with our own outputs."""

from pathlib import Path

import numpy as np
from torch import Tensor

from narrower.errors import ExportError
from narrower.export.chain_of_program import has_learned_widths, learned_chain
from narrower.export.check import compare
from narrower.export.pipelined import NO_CLOCK
from narrower.export.subject import Case, Delivery
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.entering import entering
from narrower.store.files import check_output_directory, explaining


def deliver_logic(case: Case, directory: Path) -> Delivery:
    """Write Verilog in the way that fits the plan: learned chains, other learned networks, all else."""
    from narrower.export.verilog import deliver_verilog

    target, samples = directory / "verilog", case.only_input("Verilog")
    check_output_directory(target)
    learned = learned_chain(case.program, case.subject.plan.formats)
    if learned is not None or has_learned_widths(case.subject.plan):
        if case.wishes.clock != NO_CLOCK:
            raise ExportError("--pipeline, --clock-ns: learned networks are written as logic with no clock")
        with explaining(target):
            if learned is None:
                return _learned_program_verilog(case, samples, target)
            return _learned_verilog(case, learned, target)
    with explaining(target):
        path, checks, notes = deliver_verilog(
            case.program, case.subject.plan.formats, samples, case.outputs, target, case.wishes.clock
        )
    return Delivery(path, checks, None, notes, is_exact=True)


def _learned_program_verilog(case: Case, samples: Tensor, target: Path) -> Delivery:
    from narrower.export.learned_program_logic import ProgramLogic

    logic = ProgramLogic(case.program, case.subject.plan.formats)
    checks = logic.deliver(samples, case.outputs, target)
    notes = (
        f"{logic.luts:,.0f} look-up tables (da4ml)",
        f"inputs that have bits are whole numbers, each in steps of its own; the outputs are in steps of "
        f"2**-{logic.fraction}",
    )
    return Delivery(target, checks, None, notes, is_exact=True)


def _learned_verilog(case: Case, chain: LearnedChain, target: Path) -> Delivery:
    """Logic and whole numbers are compared, and these with our own outputs."""
    from narrower.export.learned_logic import deliver_learned_verilog, learned_luts

    inputs = entering(case.program, case.arguments).numpy()
    checks = deliver_learned_verilog(chain, inputs, target)
    whole, fraction = chain.whole_outputs(inputs)
    scores = np.ldexp(whole.astype(np.float64), -fraction).astype(np.float32)
    own = compare(scores, case.outputs, "whole numbers", "against our own scores")
    used = int((chain.layers[0].data_widths > 0).sum())
    notes = (
        f"{learned_luts(chain):,.0f} look-up tables (da4ml)",
        f"the {used} inputs are whole numbers, each in steps of its own; the outputs are in steps of "
        f"2**-{fraction}",
    )
    return Delivery(target, (*checks, own), None, notes, is_exact=True)
