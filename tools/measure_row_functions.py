"""Measure the instructions of each function of C that goes through rows, alone in QEMU.

Each is called on rows of 16 and of 64 numbers of usual size: what a call and what an element takes follow.
``tools/calibrate_processors.py`` takes these, and fits what products and windows take to whole networks.
"""

import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from narrower.export.device.costs import group_of
from narrower.export.device.emulated import DONE, EXIT, SAY, WRITE
from narrower.export.device.linkage import ATTRIBUTES, linked
from narrower.export.device.processors import Processor
from narrower.export.device.runtime_typed import LIBRARY
from narrower.export.device.softmax import exponentials

SHORT_ROW, LONG_ROW, RUNS = 16, 64, 200
# What a call is given, behind the row and its length; ``u`` is another row, ``k`` constants.
WHOLE: Mapping[str, str] = {
    "add_each": "n, k, 1", "multiply": "n, 3", "bound": "n, -100, 100", "shift_even": "n, 4",
    "shift_up": "n, 4", "shift_floor": "n, 4", "scale_up": "n, 2, -1000, 1000", "wrap": "n, 8, -128",
    "shift_each": "n, shifts, low, high, 0", "add": "u, n", "maximum": "u, n", "magnitude": "n",
    "real_of": "n, 6", "load_s8": "n, bytes, 1", "store_s8": "", "store_s32": "",
    "largest_s8": "", "sum_s8": "", "add_halves": "",
}  # fmt: skip
REAL: Mapping[str, str] = {
    "real_add_each": "n, rk, 1", "real_multiply_each": "n, rk, 1", "real_divide_each": "n, rk, 1",
    "real_bound": "n, 0, 0x40c00000u", "real_leak": "n, rk, 1", "real_sign": "n, 0x7fffffffu, 0",
    "real_steps": "n, 4, 0, -128, 127", "real_wrap": "n, 4, 0, 8, -128",
    "real_steps_each": "n, fracs, low, high, 0", "real_table": "n, keys, 63, values",
    "real_softmax": "n, exponentials", "real_add": "ru, n", "real_multiply": "ru, n",
    "real_maximum": "ru, n", "load_float": "n, floats, 1", "store_real": "",
    "largest_real": "", "sum_real": "", "real_add_halves": "",
}  # fmt: skip
# How many numbers each of a row stands for, where it is not one: windows of two, and halves that are added.
NUMBERS = {**dict.fromkeys(("largest_s8", "sum_s8", "largest_real", "sum_real"), 2.0), "add_halves": 0.5,
           "real_add_halves": 0.5}  # fmt: skip
CALLS = {
    "largest_s8": "largest_s8(v, pairs, &g[n == 64], 0)",
    "sum_s8": "sum_s8(v, pairs, &g[n == 64], 0)",
    "largest_real": "largest_real(v, real_pairs, &g[n == 64], 0)",
    "sum_real": "sum_real(v, real_pairs, &g[n == 64], 0)",
    "add_halves": "add_halves(v, 2, n / 2)",
    "real_add_halves": "real_add_halves(v, 2, n / 2)",
    "store_s8": "store_s8(made, v, n, 1)",
    "store_s32": "store_s32(others, v, n, 1)",
    "store_real": "store_real((uint32_t *)others, v, n, 1)",
}
MAIN = (
    """
@START@
static int32_t v[64], others[64];
static int8_t made[64];
"""
    + SAY
    + """static void APART again(const int32_t *from, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = from[i];
}
int main(void)
{
    int32_t n, r;
    count();
@TESTS@
    ask(@EXIT@, (const void *)@DONE@);
    return 0;
}
"""
)
TEST = """\
    for (n = @SHORT@; n <= @LONG@; n += @LONG@ - @SHORT@) {
        count();
        for (r = 0; r < @RUNS@; r++) {
            again(@ROW@, n);
            @CALL@;
        }
        say(counted());
    }
"""


def text_of(processor: Processor) -> tuple[str, list[str]]:
    """The program, and the names in the order in which it says their counts, two for each."""
    names = ["nothing", *WHOLE, *REAL]
    tests = [_test("whole", "", "0")]
    tests += [_test("whole", name, f"{name}(v, {given})") for name, given in WHOLE.items()]
    tests += [_test("(const int32_t *)real", name, f"{name}(v, {given})") for name, given in REAL.items()]
    values = {"START": processor.start, "WRITE": WRITE, "EXIT": EXIT, "DONE": DONE, "TESTS": "".join(tests)}
    library = "".join(linked(snippet.text) for snippet in LIBRARY.values())
    main = re.sub(r"@(\w+)@", lambda mark: str(values[mark[1]]), MAIN)
    return f"#include <stdint.h>\n#include <string.h>\n{ATTRIBUTES}{library}\n{_constants()}{main}", names


def _test(row: str, name: str, call: str) -> str:
    values = {"SHORT": SHORT_ROW, "LONG": LONG_ROW, "RUNS": RUNS, "ROW": row, "CALL": CALLS.get(name, call)}
    return re.sub(r"@(\w+)@", lambda mark: str(values[mark[1]]), TEST)


def _constants() -> str:
    """Rows of 64 numbers up to 255 steps of 1/64, of both signs, and what functions read beside them."""
    whole = [(37 * i) % 511 - 255 for i in range(LONG_ROW)]
    real = [n / 64 + 1 / 512 for n in whole]
    other = [n / 32 + 1 / 256 for n in reversed(whole)]
    keys = sorted(_key(n / 16) for n in range(-31, 32))
    arrays = {
        "int32_t whole": whole, "int32_t u": whole[::-1], "int32_t k": whole[::-1],
        "uint32_t real": list(map(_bits, real)), "uint32_t rk": list(map(_bits, other)),
        "int32_t ru": [b - 2**32 if b >= 2**31 else b for b in map(_bits, other)],
        "int8_t shifts": [i % 5 - 1 for i in range(LONG_ROW)],
        "int8_t fracs": [i % 5 for i in range(LONG_ROW)],
        "int32_t low": [-100] * LONG_ROW, "int32_t high": [100] * LONG_ROW,
        "int8_t bytes": [n % 128 for n in whole], "int32_t keys": keys, "int32_t values": list(range(64)),
        "uint32_t exponentials": exponentials().tolist(), "int8_t pairs": [n % 128 for n in whole * 2],
        "uint32_t real_pairs": list(map(_bits, real * 2)),
    }  # fmt: skip
    lines = [f"static const {name}[] = {{{', '.join(map(str, held))}}};\n" for name, held in arrays.items()]
    floats = ", ".join(f"{n!r}f" for n in real)
    windows = ", ".join(f"{{1, 1, {2 * n}, 1, 2, 1, 2, 0, 0, 1, 1, {n}}}" for n in (SHORT_ROW, LONG_ROW))
    lines.append(f"static const window g[] = {{{windows}}};\n")
    return "".join(lines) + f"static const float floats[] = {{{floats}}};\n"


def _bits(number: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", number))[0])


def _key(number: float) -> int:
    bits = _bits(abs(number))
    return -bits if number < 0 else bits


def measured(processor: Processor) -> dict[str, float]:
    """Instructions of a call and of an element, by the group of each function."""
    text, names = text_of(processor)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "all.c").write_text(text)
        (Path(directory) / "link.ld").write_text(processor.linker_script)
        command = [*processor.compiler, "-std=gnu99", "-Os", "-w", "all.c", "-nostartfiles", "-T", "link.ld"]
        subprocess.run([*command, "-Wl,--no-warn-rwx-segments", "-o", "all.elf"], cwd=directory, check=True)
        options = ["-nographic", "-icount", "shift=0", "-semihosting-config", "enable=on,target=native"]
        done = subprocess.run(
            [*processor.emulator, *options, "-kernel", "all.elf"],
            cwd=directory, capture_output=True, check=True, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    said = [int(line, 16) / RUNS for line in (done.stdout + done.stderr).decode().split()]
    short, long = (dict(zip(names, said[first::2], strict=True)) for first in (0, 1))
    found: dict[str, float] = {}
    for name in names[1:]:
        ends = [taken[name] - taken["nothing"] for taken in (short, long)]
        each = (ends[1] - ends[0]) / (LONG_ROW - SHORT_ROW)
        found[f"{group_of(name)}:elements"] = round(each / NUMBERS.get(name, 1.0), 2)
        found[f"{group_of(name)}:calls"] = round(max(0.0, ends[0] - SHORT_ROW * each), 2)
    return found
