"""Compile a network's C for this machine and run samples through it."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrower.errors import ExportError
from narrower.export.device.network import CNetwork

COMPILERS = ("gcc", "clang")
LEVELS = ("-O2", "-O0", "-Os")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
SANITIZERS = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all")
MAIN = """\
#include "@NAME@.h"
#include <stdio.h>

int main(void)
{
    static float input[@INPUTS@];
    static @OUT@ output[@OUTPUTS@];
@WHOLE@    while (fread(input, sizeof input, 1, stdin) == 1) {
@CALLS@        if (fwrite(output, sizeof output, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
"""


@dataclass(frozen=True, slots=True)
class Build:
    """A compiler with its options."""

    compiler: str
    options: tuple[str, ...]

    @property
    def text(self) -> str:
        """How it is called."""
        return " ".join((self.compiler, *self.options))


def builds(*, sanitized: bool) -> list[Build]:
    """Each compiler that this machine has, at each level; with sanitizers, those that have them."""
    extra = SANITIZERS if sanitized else ()
    here = [c for c in COMPILERS if shutil.which(c) and (not sanitized or _has_sanitizers(c))]
    return [Build(c, (level, *extra)) for c in here for level in LEVELS]


@cache
def _has_sanitizers(compiler: str) -> bool:
    """Whether a compiler finds the libraries of its sanitizers, which are packages of their own."""
    with tempfile.TemporaryDirectory() as directory:
        command = [compiler, *SANITIZERS, "-x", "c", "-", "-o", str(Path(directory) / "a")]
        text = b"int main(void) { return 0; }"
        return subprocess.run(command, input=text, capture_output=True, check=False).returncode == 0


def main_text(network: CNetwork) -> str:
    """A program that reads samples from its input and writes outputs."""
    kind = "float" if network.output_fraction is None else "int32_t"
    whole = (
        f"    static {network.entry.kind} whole[{network.entry.count}];\n" if network.is_rounded_apart else ""
    )
    calls = f"        {network.name}_run({'whole' if network.is_rounded_apart else 'input'}, output);\n"
    if network.is_rounded_apart:
        calls = f"        {network.name}_round(input, whole);\n{calls}"
    values = {"NAME": network.name, "INPUTS": network.inputs, "OUTPUTS": network.outputs, "OUT": kind,
              "WHOLE": whole, "CALLS": calls}  # fmt: skip
    text = MAIN
    for mark, value in values.items():
        text = text.replace(f"@{mark}@", str(value))
    return text


def write_files(network: CNetwork, directory: Path) -> None:
    """Write header and source."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{network.name}.h").write_text(network.header, encoding="utf-8")
    (directory / f"{network.name}.c").write_text(network.source, encoding="utf-8")


def run_compiled(
    network: CNetwork, directory: Path, build: Build, inputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The outputs [N, ...] of samples, by the files in ``directory``.

    Raises:
        ExportError: it does not compile, or the program fails.
    """
    test = directory / "test"
    test.mkdir(exist_ok=True)
    (test / "main.c").write_text(main_text(network), encoding="utf-8")
    program = test / f"{build.compiler}{''.join(build.options[:1])}{len(build.options)}"
    sources = [str(test / "main.c"), str(directory / f"{network.name}.c")]
    _run([build.compiler, *WARNINGS, *build.options, f"-I{directory}", *sources, "-o", str(program)], b"")
    raw = _run([str(program)], np.ascontiguousarray(inputs, np.float32).tobytes())
    kind = np.float32 if network.output_fraction is None else np.int32
    found = np.frombuffer(raw, kind).reshape(len(inputs), network.outputs)
    return network.numbers(found)


def _run(command: Sequence[str], given: bytes) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[:8]
        raise ExportError(f"{command[0]} failed ({done.returncode}): {' | '.join(reason)}")
    return done.stdout
