"""C of a plan, with the word of compilers and sanitizers that it computes what the search scored."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from narrower.cost.network_cost import NetworkCost
from narrower.errors import ExportError
from narrower.export.check import Check, compare
from narrower.export.device.compiled import Build, builds, run_compiled, write_files
from narrower.export.device.network import CNetwork, c_name, c_network
from narrower.export.device.packing import Pack
from narrower.export.device.prepared_lines import Described
from narrower.export.device.softmax import last_softmax, softmax_outputs
from narrower.export.exactness import inexact_operators
from narrower.export.integer_network import rounded_outputs
from narrower.graph.program import Program
from narrower.plan.plan import Plan

SANITIZED_MACS = 5e8  # of each build with sanitizers
LEAST_SANITIZED = 20  # samples


def deliver_c(
    program: Program,
    plan: Plan,
    name: str,
    pack: Pack,
    described: Described,
    inputs: Tensor,
    outputs: NDArray[np.float32],
    directory: Path,
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Write header and source, compile them in every way that this machine has, and run all samples.

    Builds with sanitizers run fewer samples of large networks. Returns the checks, those that differ first,
    and notes.

    Raises:
        ExportError: C cannot hold the plan, no compiler is here, or one of them refuses the files.
    """
    network = c_network(program, plan, c_name(name), pack, described)
    plain = builds(sanitized=False)
    if not plain:
        raise ExportError(
            "no C compiler is here to compare the network with the search: install gcc or clang"
        )
    write_files(network, directory)
    wanted = _wanted(network, program, plan, inputs, outputs)
    few = _sanitized_count(program, len(inputs))
    sanitized = builds(sanitized=True)
    checks = [_check(network, directory, build, inputs, wanted) for build in plain]
    checks += [_check(network, directory, build, inputs[:few], wanted[:few]) for build in sanitized]
    notes = _notes(network, {b.compiler for b in plain} - {b.compiler for b in sanitized})
    if scaled := unevenly_scaled(program, plan):
        notes = (
            *notes,
            "C adds whole numbers and scales each sum once, float32 rounds after every addition: "
            "the last bits of what follows may differ where scales are no powers of two, in "
            + ", ".join(scaled),
        )
    if last_softmax(program) is not None:
        far = float(np.abs(wanted - outputs).max())
        notes = (*notes, f"the softmax is computed by tables: at most {far:.2g} from that of float32")
    return tuple(sorted(checks, key=lambda check: check.differing_elements == 0)), notes


def unevenly_scaled(program: Program, plan: Plan) -> tuple[str, ...]:
    """The layers whose float32 sums are rounded on the way, since a scale is no power of two."""
    found = inexact_operators(program, plan)
    names = [
        reason.split(": ")[0] for reason in found if " is affine(" in reason or "its weight is" in reason
    ]
    return tuple(dict.fromkeys(names))


def _wanted(
    network: CNetwork, program: Program, plan: Plan, inputs: Tensor, outputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The evaluation of the samples, in the steps in which C gives it."""
    if not network.is_output_rounded:
        return outputs
    assert network.output_fraction is not None
    softmax = last_softmax(program)
    if softmax is not None:
        return network.numbers(softmax_outputs(program, softmax, plan, inputs)).reshape(outputs.shape)
    return network.numbers(rounded_outputs(outputs, network.output_fraction))


def _sanitized_count(program: Program, samples: int) -> int:
    macs = max(1, NetworkCost(program.network).macs)
    return min(samples, max(LEAST_SANITIZED, int(SANITIZED_MACS / macs)))


def _check(
    network: CNetwork, directory: Path, build: Build, inputs: Tensor, outputs: NDArray[np.float32]
) -> Check:
    found = run_compiled(network, directory, build, inputs.numpy())
    return compare(found.reshape(outputs.shape), outputs, build.compiler, " ".join(build.options))


def _notes(network: CNetwork, unsanitized: set[str]) -> tuple[str, ...]:
    how = (
        f"{network.name}_round rounds the {network.inputs} inputs to"
        f" whole numbers, {network.name}_run reads those"
        if network.is_rounded_apart
        else f"{network.name}_run reads the inputs as float32 numbers and computes with their bits"
    )
    steps = (
        "outputs are float32 numbers"
        if network.output_fraction is None
        else f"outputs are whole numbers in steps of 2**-{network.output_fraction}"
        + (", rounded half up" if network.is_output_rounded else "")
    )
    notes = [
        f"{network.ram_bytes:,} bytes of RAM, {network.constant_bytes:,} bytes of constants, of these "
        f"{network.weight_bytes:,} for weights; code and stack come on top",
        how,
        steps,
    ]
    notes += [f"{compiler} has no sanitizers here" for compiler in sorted(unsanitized)]
    return tuple(notes)
