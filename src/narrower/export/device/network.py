"""A network as C: its two files, and what it takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.export.device.builder import Builder
from narrower.export.device.linkage import ATTRIBUTES, linked
from narrower.export.device.numbers import Real, Whole
from narrower.export.device.packing import Pack
from narrower.export.device.planner import Layout, plan_memory
from narrower.export.device.prepared_lines import NOTHING_SAID, Described, prepared_lines
from narrower.export.device.runtime_typed import LIBRARY
from narrower.export.device.source import Array, Buffer, Source, Step, Work
from narrower.graph.program import Program
from narrower.plan.plan import Plan

PER_LINE = 100  # characters of a line of constants
WORD = 4


@dataclass(frozen=True)
class CNetwork:
    """``header`` and ``source``, the texts of ``name``.h and ``name``.c.

    ``entry`` is what the network reads: whole numbers, which a function of its own rounds, or the input
    itself. ``weight_arrays``: bytes by the names of arrays. ``output_fraction`` None: outputs are float32
    numbers.
    """

    name: str
    header: str
    source: str
    inputs: int
    outputs: int
    entry: Buffer
    is_rounded_apart: bool
    output_fraction: int | None
    is_output_rounded: bool
    ram_bytes: int
    constant_bytes: int
    weight_arrays: Mapping[str, int]
    steps: int
    loops: int
    functions: tuple[str, ...]
    work: Mapping[str, Work]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights of products, in any form."""
        return sum(self.weight_arrays.values())

    def numbers(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """What the outputs of C stand for."""
        if self.output_fraction is None:
            return np.asarray(raw, np.float32)
        return np.ldexp(raw.astype(np.float64), -self.output_fraction).astype(np.float32)


def c_network(
    program: Program,
    plan: Plan,
    name: str,
    pack: Pack = "size",
    described: Described = NOTHING_SAID,
) -> CNetwork:
    """Write a lowered program under a plan as C.

    Raises:
        ExportError: C cannot hold the network or the plan; the message names the layer or operator.
    """
    builder = Builder(program, plan, pack)
    source, output = builder.source, builder.output
    source = _with_entry(source)
    layout = plan_memory(source.buffers, source.steps)
    entry = next((b for b in source.buffers if b.name == "whole"), source.buffers[0])
    number = output.number
    ram = layout.words + layout.halves + WORD * source.longest_row * (1 + source.reads_two_rows)
    ram += 2 * WORD * source.longest_wide_row
    made = CNetwork(
        name=name,
        header="",
        source="",
        inputs=source.buffers[0].count,
        outputs=prod(output.shape),
        entry=entry,
        is_rounded_apart=entry.name == "whole",
        output_fraction=number.frac if isinstance(number, Whole) else None,
        is_output_rounded=builder.is_output_rounded,
        ram_bytes=ram,
        constant_bytes=sum(a.size for a in source.arrays) + source.constant_bytes,
        weight_arrays={a.name: a.size for a in source.arrays if a.is_weights},
        steps=len(source.steps),
        loops=sum(line.lstrip().startswith("for (") for step in source.steps for line in step.lines),
        functions=tuple(source.used),
        work=source.work,
    )
    header = _header(made, number, described, source)
    return CNetwork(**{**vars(made), "header": header, "source": _text(made, source, layout)})


def _with_entry(source: Source) -> Source:
    """Where one step alone reads the input and rounds it, its result is what the network reads."""
    readers = [step for step in source.steps if 0 in step.reads]
    first = source.steps[0]
    if readers != [first] or first.reads != {0} or len(first.writes) != 1:
        return source
    (written,) = first.writes
    buffer = source.buffers[written]
    if buffer.name or buffer.kind in ("uint32_t", "float"):
        return source
    source.buffers[written] = Buffer(written, buffer.kind, buffer.count, "whole")
    return source


def _header(made: CNetwork, number: Real | Whole, described: Described, source: Source) -> str:
    upper = made.name.upper()
    lines = [
        f"/* {made.name}: a network in whole numbers, written by narrower. C99, no heap, not reentrant. */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define {upper}_INPUTS {made.inputs}",
        f"#define {upper}_OUTPUTS {made.outputs}",
        f"#define {upper}_RAM_BYTES {made.ram_bytes} /* static memory; the stack comes on top */",
        f"#define {upper}_CONSTANT_BYTES {made.constant_bytes} /* in flash; the code comes on top */",
        f"#define {upper}_WEIGHT_BYTES {made.weight_bytes} /* of these, the weights of products */",
    ]
    if classes := described.output_names:
        names = ", ".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in classes)
        lines.append(f"#define {upper}_OUTPUT_NAMES {{{names}}}")
    if isinstance(number, Whole):
        lines.append(f"#define {upper}_OUTPUT_FRACTION {number.frac} /* an output y is y / 2**this */")
    lines += prepared_lines(upper, described.prepared)
    kind = "int32_t" if isinstance(number, Whole) else "float"
    entry = "const float *input"
    if made.is_rounded_apart:
        entry = f"const {made.entry.kind} *whole"
        view = next(v for v in source.views if v.buffer.position == made.entry.position)
        lines += _entry_lines(upper, view.number, made.entry.count)
        lines += [
            "",
            "/* What the network reads, of an input in the numbers that it was trained on. */",
            f"void {made.name}_round(const float *input, {made.entry.kind} *whole);",
        ]
    lines += [
        "",
        "/* The outputs of one sample. */",
        f"void {made.name}_run({entry}, {kind} *output);",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _entry_lines(upper: str, number: Real | Whole, count: int) -> list[str]:
    lines = [f"#define {upper}_WHOLES {count}"]
    if isinstance(number, Whole) and number.fracs is None:
        scale = f" times {number.scale!r}" if number.scale != 1.0 else ""
        lines.append(
            f"#define {upper}_WHOLE_FRACTION {number.frac} /* a whole number n is n / 2**this{scale} */"
        )
    return lines


def _text(made: CNetwork, source: Source, layout: Layout) -> str:
    parts = [f'#include "{made.name}.h"\n', "#include <string.h>\n" if _copies(source) else ""]
    parts += [
        "/* Shifts to the right must keep the sign. */\n"
        "typedef char shifts_keep_the_sign[(-1 >> 1) == -1 ? 1 : -1];\n\n"
    ]
    parts += [_array(array) for array in source.arrays]
    if layout.words:
        parts.append(f"static int32_t words[{layout.words // WORD}];\n")
    if layout.halves:
        parts.append(f"static int16_t halves[{layout.halves // 2}];\n")
    parts.append(f"static int32_t sums[{source.longest_row}];\n")
    if source.reads_two_rows:
        parts.append(f"static int32_t others[{source.longest_row}];\n")
    if source.longest_wide_row:
        parts.append(f"static int64_t wide[{source.longest_wide_row}];\n")
    parts.append(ATTRIBUTES)
    parts += [f"\n{linked(LIBRARY[name].text)}" for name in source.used]
    parts += [_step(step, source, layout) for step in source.steps]
    parts.append(_run(made, source))
    return "".join(parts)


def _copies(source: Source) -> bool:
    return any(name.endswith("_float") for name in source.used) or any(
        "memset" in line for step in source.steps for line in step.lines
    )


def _array(array: Array) -> str:
    suffix = {"uint32_t": "u", "int64_t": "LL"}.get(array.kind, "")
    numbers = [
        "INT32_MIN" if array.kind == "int32_t" and v == -(2**31) else f"{v}{suffix}"
        for v in array.values.tolist()
    ]
    lines, line = [], ""
    for number in numbers:
        if len(line) + len(number) > PER_LINE:
            lines.append(line.rstrip())
            line = ""
        line += f"{number}, "
    lines.append(line.rstrip(", "))
    body = "\n    ".join(lines)
    return f"static const {array.kind} {array.name}[{array.values.size}] = {{\n    {body}\n}};\n"


def _parameters(step: Step, source: Source) -> list[Buffer]:
    touched = sorted(step.reads | step.writes)
    return [source.buffers[p] for p in touched if source.buffers[p].name]


def _declared(buffer: Buffer, written: bool) -> str:
    return f"{'' if written else 'const '}{buffer.kind} *{buffer.name}"


def _step(step: Step, source: Source, layout: Layout) -> str:
    given = ", ".join(_declared(b, b.position in step.writes) for b in _parameters(step, source)) or "void"
    body = "\n".join(step.lines)
    body = re.sub(r"@(\d+)@", lambda m: _place(source.buffers[int(m[1])], layout), body)
    return f"\nstatic APART void {step.name}({given})\n{{\n{body}\n}}\n"


def _place(buffer: Buffer, layout: Layout) -> str:
    if buffer.name:
        return buffer.name
    at = layout.offsets[buffer.position]
    if buffer.kind in ("int16_t", "uint16_t"):
        place = f"halves + {at // 2}" if at else "halves"
    else:
        place = f"words + {at // WORD}" if at else "words"
    return f"({buffer.kind} *)({place})"


def _run(made: CNetwork, source: Source) -> str:
    def call(step: Step) -> str:
        return f"    {step.name}({', '.join(b.name for b in _parameters(step, source))});\n"

    steps = source.steps
    text, entry = "", "const float *input"
    if made.is_rounded_apart:
        given = f"const float *input, {made.entry.kind} *whole"
        text = f"\nvoid {made.name}_round({given})\n{{\n{call(steps[0])}}}\n"
        steps, entry = steps[1:], f"const {made.entry.kind} *whole"
    kind = "float" if made.output_fraction is None else "int32_t"
    body = "".join(call(step) for step in steps)
    return f"{text}\nvoid {made.name}_run({entry}, {kind} *output)\n{{\n{body}}}\n"


def c_name(name: str) -> str:
    """A model's name as C accepts it."""
    found = (
        "".join(c if c.isascii() and c.isalnum() else "_" for c in name.rsplit(":", 1)[-1]).strip("_").lower()
    )
    return found if found and not found[0].isdigit() else f"network_{found}"
