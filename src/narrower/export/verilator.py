"""Run a written Verilog module in Verilator."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError

if TYPE_CHECKING:
    from da4ml.types import CombLogic

BENCH = """\
`timescale 1ns/1ps
module bench;
    reg [{inputs_high}:0] samples [0:{last}];
    reg [{inputs_high}:0] x;
    wire [{outputs_high}:0] y;
    integer i, file;
    {module} dut (.model_inp(x), .model_out(y));
    initial begin
        $readmemh("inputs.mem", samples);
        file = $fopen("outputs.mem", "w");
        for (i = 0; i <= {last}; i = i + 1) begin
            x = samples[i];
            #1;
            $fdisplay(file, "%h", y);
        end
        $fclose(file);
        $finish;
    end
endmodule
"""


CLOCKED_BENCH = """\
`timescale 1ns/1ps
module bench;
    reg [{inputs_high}:0] samples [0:{last}];
    reg [{inputs_high}:0] x;
    wire [{outputs_high}:0] y;
    reg clk = 0;
    integer i, file;
    {module} dut (.clk(clk), .model_inp(x), .model_out(y));
    initial begin
        $readmemh("inputs.mem", samples);
        file = $fopen("outputs.mem", "w");
        for (i = 0; i <= {last} + {cycles}; i = i + 1) begin
            if (i >= {cycles}) $fdisplay(file, "%h", y);
            x = samples[i <= {last} ? i : {last}];
            #1 clk = 1;
            #1 clk = 0;
        end
        $fclose(file);
        $finish;
    end
endmodule
"""


def run_verilator(
    logic: "CombLogic", module: str, directory: Path, inputs: NDArray[np.int64], cycles: int = 0
) -> NDArray[np.int64]:
    """Simulate ``directory/src/<module>.v`` on whole-number inputs [N, K]; returns its outputs.

    ``cycles`` are the clocks that a sample takes; 0: the module has none. With a clock, a sample enters and
    an output is read at each.

    The test bench, its inputs and its outputs stay in ``directory/sim``, for any other simulator.

    Raises:
        ExportError: Verilator refuses the module.
    """
    from da4ml.types import minimal_kif

    input_fields = [sum(minimal_kif(interval)) for interval in logic.inp_qint]
    outputs = [minimal_kif(interval) for interval in logic.out_qint]
    bench = directory / "sim"
    bench.mkdir(parents=True, exist_ok=True)
    (bench / "inputs.mem").write_text(_hexadecimal(inputs, input_fields), encoding="ascii")
    (bench / "bench.v").write_text(
        (CLOCKED_BENCH if cycles else BENCH).format(
            cycles=cycles,
            inputs_high=sum(input_fields) - 1,
            outputs_high=sum(sum(kif) for kif in outputs) - 1,
            last=len(inputs) - 1,
            module=module,
        ),
        encoding="ascii",
    )
    sources = ["bench.v", *_modules(directory), *(f"../src/static/{p.name}" for p in _static(directory))]
    # Older versions of Verilator do not know these two messages, which da4ml's files switch off.
    future = ["-Wfuture-WIDTHTRUNC", "-Wfuture-WIDTHEXPAND"]
    options = ["--binary", "--timing", "-Wno-fatal", "-Wno-lint", *future, "--top-module", "bench"]
    with _without_spaces(directory) as place:
        _run(["verilator", *options, "-Mdir", "build", *sources], place / "sim")
        _run(["./build/Vbench"], place / "sim")
        if place != directory:
            shutil.copy(place / "sim" / "outputs.mem", bench)
    lines = (bench / "outputs.mem").read_text(encoding="ascii").split()
    return _fields(lines, [(sum(kif), bool(kif[0]), int(kif[2])) for kif in outputs])


@contextmanager
def _without_spaces(directory: Path) -> Iterator[Path]:
    """The directory, or for a while a copy of it: make cannot build below names with spaces."""
    if not any(character.isspace() for character in str(directory.resolve())):
        yield directory
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(directory, Path(folder) / "copy"))


def _modules(directory: Path) -> list[str]:
    return [f"../src/{p.name}" for p in sorted((directory / "src").glob("*.v")) if "wrapper" not in p.name]


def _static(directory: Path) -> list[Path]:
    return sorted((directory / "src" / "static").glob("*.v"))


def _run(command: Sequence[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[:8]
        raise ExportError(f"{directory}: {command[0]} failed: {' | '.join(reason)}")


def _hexadecimal(values: NDArray[np.int64], widths: Sequence[int]) -> str:
    """One line for each sample, the first value in the lowest bits."""
    lines = []
    for row in values.tolist():
        word, position = 0, 0
        for value, width in zip(row, widths, strict=True):
            word |= (value & ((1 << width) - 1)) << position
            position += width
        lines.append(f"{word:x}")
    return "\n".join(lines) + "\n"


def _fields(lines: Sequence[str], fields: Sequence[tuple[int, bool, int]]) -> NDArray[np.int64]:
    """Undo ``_hexadecimal``; a field is (width, is signed, fraction bits)."""
    rows = []
    for line in lines:
        word = int(line, 16)
        row = []
        for width, is_signed, fraction in fields:
            value = word & ((1 << width) - 1)
            word >>= width
            if is_signed and value >> (width - 1):
                value -= 1 << width
            row.append(value << -fraction if fraction < 0 else value >> fraction)
        rows.append(row)
    return np.array(rows, dtype=np.int64)
