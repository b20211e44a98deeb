"""What logic takes after synthesis by Yosys, for three families of FPGAs."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from narrower.errors import ExportError
from narrower.export.verilog import MODULE, write_verilog

if TYPE_CHECKING:
    from da4ml.types import CombLogic, Pipeline

CELL = re.compile(r"^\s+(\w+)\s+(\d+)\s*$", re.MULTILINE)
UNREAD = ("wrapper", "lookup_table")  # files beside the module; the second cannot be read without a table


@dataclass(frozen=True, slots=True)
class Family:
    """How Yosys is called for a family, and which of its cells are look-up tables and flip-flops.

    ``luts``: how many look-up tables a cell takes, by the start of its name.
    """

    command: str
    luts: Mapping[str, int]
    registers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Look-up tables and flip-flops of one module."""

    luts: int
    registers: int


FAMILIES: Mapping[str, Family] = {
    # look-up tables of six inputs beside carry chains; none becomes a shift register
    "xilinx": Family("synth_xilinx -abc9 -nosrl -noiopad -noclkbuf -flatten", {"LUT": 1}, ("FD",)),
    # of four inputs; a carry lies beside the look-up table of its bit
    "ice40": Family("synth_ice40 -abc9", {"SB_LUT4": 1}, ("SB_DFF",)),
    # of four inputs; a carry cell of two bits takes two of them
    "ecp5": Family("synth_ecp5 -abc9", {"LUT4": 1, "CCU2C": 2}, ("TRELLIS_FF",)),
}


def synthesise(logic: "CombLogic | Pipeline", family: str) -> Synthesis:
    """Count cells after Yosys mapped the Verilog of some logic, in seconds to a minute.

    Raises:
        ExportError: there is no such family, or Yosys is not installed, or fails.
    """
    if family not in FAMILIES:
        raise ExportError(f"no family {family!r}; allowed: {', '.join(FAMILIES)}")
    if shutil.which("yosys") is None:
        raise ExportError("counting look-up tables by synthesis needs Yosys: apt-get install yosys")
    with tempfile.TemporaryDirectory() as directory:
        write_verilog(logic, Path(directory))
        found = sorted((Path(directory) / "src").rglob("*.v"))
        read = " ".join(str(path) for path in found if not any(word in path.name for word in UNREAD))
        script = f"read_verilog {read}; {FAMILIES[family].command} -top {MODULE}; stat"
        done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ExportError(f"Yosys failed: {done.stderr.strip().splitlines()[:3]}")
    return counted(done.stdout, FAMILIES[family])


def counted(said: str, family: Family) -> Synthesis:
    """Read the last statistics that Yosys printed."""
    cells = [(name, int(count)) for name, count in CELL.findall(said[said.rfind("Number of cells") :])]
    luts = sum(
        count * next((each for start, each in family.luts.items() if name.startswith(start)), 0)
        for name, count in cells
    )
    return Synthesis(luts, sum(count for name, count in cells if name.startswith(family.registers)))
