"""How near the estimates of logic cost are to synthesis, on the front of jsc-toy.

    python benchmarks/luts.py [--json | --table] [--members N] [--run RUN] [--families F,F] [--pipeline N]

Trains jsc-toy on jets and searches weights of 2 to 8 bits beside data of 4 or 8, or takes a RUN that did.
Members of the front, spread evenly over it, are built in logic by da4ml, and synthesised by Yosys for each
family, without a clock and in N stages (in tens of seconds to minutes each). ``--table`` prints the table of
docs/logic-cost.md.

- ``median_error``, ``largest_error``: of da4ml's estimate of look-up tables, relative to what Yosys needs
- ``spearman``: rank correlation of the two; ``ebops_spearman``: of the cheap estimate with Yosys
- ``members``: how many there are; ``points``: estimate, ebops and Yosys of each

The four above are of the first family without a clock. ``families``, by family and stages (0: no clock):

- ``factor``: the median of what Yosys needs over the estimate; ``spread``: how far members are from it
- ``luts_error``, ``registers_error``: median and largest, of look-up tables and of registers
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from narrower.cli.main import run as narrower
from narrower.export.luts import ebops, logic_of
from narrower.export.own_outputs import own_outputs
from narrower.export.pipelined import pipelined
from narrower.export.subject import Subject
from narrower.export.synthesis import FAMILIES, synthesise
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.report.read_record import read_record
from narrower.store.run_directory import RunDirectory
from narrower.study.run_subjects import run_subjects

SEARCH = (
    *("search", "--model", "jsc-toy", "--dataset", "jets", "--project", "jsc-toy"),
    *("--weight-widths", "2,3,4,5,6,7,8", "--data-widths", "4,8"),
    *("--objective", "accuracy", "--objective", "average_bitwidth"),
)
SAMPLES = 2000  # that decide how finely outputs are rounded


def finished_run(given: Path | None) -> RunDirectory:
    """The run given, or a new one below a temporary directory."""
    if given is not None:
        return RunDirectory(given.resolve())
    os.chdir(tempfile.mkdtemp(prefix="narrower-luts-"))
    with redirect_stdout(sys.stderr):
        code = narrower([*SEARCH])
    if code:
        raise SystemExit(code)
    return RunDirectory(Path("runs/jsc-toy").resolve())


def spread(numbers: list[int], count: int) -> list[int]:
    """So many of the members, from one end of the front to the other."""
    if count >= len(numbers):
        return numbers
    return [numbers[round(i * (len(numbers) - 1) / (count - 1))] for i in range(count)]


def point(subject: Subject, families: list[str], stages: int) -> dict[str, Any]:
    """The costs of one member: computed, and by synthesis for each family without and with a clock."""
    program = lower(trace(subject.model, subject.data.train.inputs[:3], subject.model_name))
    outputs = own_outputs(program, subject.plan, subject.data.train.inputs[:SAMPLES])
    start = time.perf_counter()
    logic = logic_of(program, subject.plan, outputs)
    middle = time.perf_counter()
    clocked = pipelined(logic, stages)
    synthesised = {
        family: {
            "0": asdict(synthesise(logic, family)),
            str(stages): asdict(synthesise(clocked.logic, family)),
        }
        for family in families
    }
    return {
        "trial": subject.trial,
        "luts": float(logic.cost),
        "registers": clocked.registers,
        "ebops": ebops(program, subject.plan),
        "yosys": synthesised[families[0]]["0"]["luts"],
        "synthesised": synthesised,
        "seconds": round(middle - start, 2),
        "yosys_seconds": round(time.perf_counter() - middle, 1),
    }


def compared(points: list[dict[str, Any]], family: str, stages: str) -> dict[str, Any]:
    """How the computed costs of all members lie to one synthesis."""
    found = [p["synthesised"][family][stages] for p in points]
    ratios = [f["luts"] / p["luts"] for f, p in zip(found, points, strict=True)]
    factor = statistics.median(ratios)
    errors = [abs(1 / ratio - 1) for ratio in ratios]
    row = {
        "factor": factor,
        "spread": max(abs(ratio / factor - 1) for ratio in ratios),
        "luts_error": [statistics.median(errors), max(errors)],
    }
    if stages != "0":
        far = [abs(p["registers"] / f["registers"] - 1) for f, p in zip(found, points, strict=True)]
        row["registers_error"] = [statistics.median(far), max(far)]
    return row


def table(families: dict[str, dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| family | stages | tables of Yosys over `luts` | around that at most | `registers` off by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for family, by_stages in families.items():
        for stages, row in by_stages.items():
            registers = "none" if stages == "0" else "{:.1%}, at most {:.1%}".format(*row["registers_error"])
            clock = "no clock" if stages == "0" else stages
            lines.append(f"| {family} | {clock} | {row['factor']:.2f} | {row['spread']:.1%} | {registers} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--table", action="store_true", help="print a table in Markdown")
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--pipeline", type=int, default=4)
    arguments = parser.parse_args()
    run, names = finished_run(arguments.run), arguments.families.split(",")
    record = read_record(run)
    numbers = spread([member.number for member in record.members], arguments.members)
    subjects = run_subjects(run, numbers, say=lambda text: print(text, file=sys.stderr))
    points = []
    for subject in subjects:
        points.append(point(subject, names, arguments.pipeline))
        print(json.dumps(points[-1]), file=sys.stderr, flush=True)
    errors = [abs(p["luts"] - p["yosys"]) / p["yosys"] for p in points]
    synthesised = [p["yosys"] for p in points]
    families = {
        name: {stages: compared(points, name, stages) for stages in ("0", str(arguments.pipeline))}
        for name in names
    }
    rows = {
        "median_error": statistics.median(errors),
        "largest_error": max(errors),
        "spearman": float(spearmanr([p["luts"] for p in points], synthesised).statistic),
        "ebops_spearman": float(spearmanr([p["ebops"] for p in points], synthesised).statistic),
        "members": len(points),
        "families": families,
        "points": points,
    }
    if arguments.json:
        print(json.dumps(rows))
    elif arguments.table:
        print(table(families))
    else:
        for name, value in rows.items():
            print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
