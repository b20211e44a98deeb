"""Cross-compile a network's C, run it in QEMU, and read from the linker's map what it takes."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError
from narrower.export.device.compiled import WARNINGS
from narrower.export.device.network import CNetwork
from narrower.export.device.processors import Processor

SECONDS = 600
SECTION = re.compile(r"^ \.(\w+)[^\s]*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) \S*network\.o$", re.MULTILINE)
WRITE, EXIT, DONE = 4, 24, 0x20026
SAY = """\
static void say(uint32_t x)
{
    char text[10];
    int i;
    for (i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[x >> (28 - 4 * i) & 15];
    text[8] = '\\n';
    text[9] = 0;
    ask(@WRITE@, text);
}
"""
MAIN = (
    """\
#include "@NAME@.h"
@START@
static const union { uint32_t bits[@COUNT@]; float numbers[@COUNT@]; } samples = {{@SAMPLES@}};

"""
    + SAY
    + """
int main(void)
{
    static union { @OUT@ numbers[@OUTPUTS@]; uint32_t bits[@OUTPUTS@]; } output;
@WHOLE@    int i, j;
    for (i = 0; i < @RUNS@; i++) {
        const float *input = samples.numbers + i * @INPUTS@;
@CALLS@        say(counted());
        for (j = 0; j < @OUTPUTS@; j++)
            say(output.bits[j]);
    }
    ask(@EXIT@, (const void *)@DONE@);
    return 0;
}
"""
)


@dataclass(frozen=True)
class Emulation:
    """What a processor made of samples: outputs [N, ...], instructions of one run, bytes by the map."""

    outputs: NDArray[np.float32]
    instructions: NDArray[np.int64]
    code_bytes: int
    constant_bytes: int
    ram_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Code and constants."""
        return self.code_bytes + self.constant_bytes


def is_here(processor: Processor) -> bool:
    """Whether compiler and emulator are installed."""
    return all(shutil.which(tool) for tool in processor.tools)


def emulate(
    network: CNetwork, processor: Processor, inputs: NDArray[np.float32], directory: Path, level: str = "-Os"
) -> Emulation:
    """Run samples [N, ...] through the network on a processor.

    Raises:
        ExportError: a tool is missing or fails.
    """
    if not is_here(processor):
        raise ExportError(f"{processor.name} needs {' and '.join(processor.tools)}; install these")
    files = {
        f"{network.name}.h": network.header,
        "network.c": network.source,
        "main.c": _main(network, processor, inputs),
        "link.ld": processor.linker_script,
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    _run([*processor.compiler, *WARNINGS, level, "-c", "network.c", "-o", "network.o"], directory)
    _run([*processor.compiler, "-Os", "-c", "main.c", "-o", "main.o"], directory)
    link = ["-nostartfiles", "-T", "link.ld", "-Wl,-Map=network.map", "-Wl,--no-warn-rwx-segments"]
    link = [*link[:-1], "main.o", "network.o", "-o", "network.elf"]
    _run([*processor.compiler, *link], directory)
    options = ["-nographic", "-icount", "shift=0", "-semihosting-config", "enable=on,target=native"]
    said = _run([*processor.emulator, *options, "-kernel", "network.elf"], directory)
    return _read(network, said, len(inputs), directory / "network.map")


def _main(network: CNetwork, processor: Processor, inputs: NDArray[np.float32]) -> str:
    bits = np.ascontiguousarray(inputs, np.float32).reshape(-1).view(np.uint32)
    whole = (
        f"    static {network.entry.kind} whole[{network.entry.count}];\n" if network.is_rounded_apart else ""
    )
    calls = f"        {network.name}_round(input, whole);\n" if network.is_rounded_apart else ""
    entry = "whole" if network.is_rounded_apart else "input"
    calls += f"        count();\n        {network.name}_run({entry}, output.numbers);\n"
    values = {
        "NAME": network.name,
        "START": processor.start,
        "COUNT": len(bits),
        "SAMPLES": ", ".join(f"{b}u" for b in bits.tolist()),
        "WRITE": WRITE,
        "OUT": "float" if network.output_fraction is None else "int32_t",
        "OUTPUTS": network.outputs,
        "WHOLE": whole,
        "RUNS": len(inputs),
        "INPUTS": network.inputs,
        "CALLS": calls,
        "EXIT": EXIT,
        "DONE": DONE,
    }
    return re.sub(r"@(\w+)@", lambda mark: str(values[mark[1]]), MAIN)


def _read(network: CNetwork, said: str, runs: int, linker_map: Path) -> Emulation:
    words = np.array([int(line, 16) for line in said.split()], np.uint32).reshape(runs, -1)
    raw = words[:, 1:].view(np.float32 if network.output_fraction is None else np.int32)
    sizes: dict[str, int] = {}
    for name, size in SECTION.findall(linker_map.read_text(encoding="utf-8")):
        sizes[name] = sizes.get(name, 0) + int(size, 16)
    constants = sum(sizes.get(name, 0) for name in ("rodata", "srodata", "data", "sdata"))
    ram = sum(sizes.get(name, 0) for name in ("bss", "sbss", "data", "sdata"))
    counts = words[:, 0].astype(np.int64)
    return Emulation(network.numbers(raw), counts, sizes.get("text", 0), constants, ram)


def _run(command: Sequence[str], directory: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            check=False,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{command[0]} ran for {SECONDS} s without an end") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[:6]
        raise ExportError(f"{command[0]} failed ({done.returncode}): {' | '.join(reason)}")
    return (done.stdout + done.stderr).decode(errors="replace")
