"""How near the estimates of logic cost are to synthesis, on the front of jsc-toy.

    python benchmarks/luts.py [--json] [--members N] [--run RUN]

Trains jsc-toy on jets and searches weights of 2 to 8 bits beside data of 4 or 8, or takes a RUN that did.
Members of the front, spread evenly over it, are built in logic by da4ml and synthesised by Yosys
(``synth_xilinx -abc9``, in tens of seconds to minutes each).

- ``median_error``, ``largest_error``: of da4ml's estimate of look-up tables, relative to what Yosys needs
- ``spearman``: rank correlation of the two; ``ebops_spearman``: of the cheap estimate with Yosys
- ``members``: how many there are; ``points``: estimate, ebops and Yosys of each
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from narrower.cli.main import run as narrower
from narrower.export.luts import ebops, luts, yosys_luts
from narrower.export.own_outputs import own_outputs
from narrower.export.subject import Subject
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


def point(subject: Subject) -> dict[str, Any]:
    """The three costs of one member, and how long the first and the last took."""
    program = lower(trace(subject.model, subject.data.train.inputs[:3], subject.model_name))
    outputs = own_outputs(program, subject.plan, subject.data.train.inputs[:SAMPLES])
    start = time.perf_counter()
    estimate = luts(program, subject.plan, outputs)
    middle = time.perf_counter()
    counted = yosys_luts(program, subject.plan, outputs)
    return {
        "trial": subject.trial,
        "luts": estimate,
        "ebops": ebops(program, subject.plan),
        "yosys": counted,
        "seconds": round(middle - start, 2),
        "yosys_seconds": round(time.perf_counter() - middle, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    run = finished_run(arguments.run)
    record = read_record(run)
    numbers = [member.number for member in record.members]
    points = [point(subject) for subject in run_subjects(run, spread(numbers, arguments.members), say=print)]
    errors = [abs(p["luts"] - p["yosys"]) / p["yosys"] for p in points]
    synthesised = [p["yosys"] for p in points]
    rows = {
        "median_error": statistics.median(errors),
        "largest_error": max(errors),
        "spearman": float(spearmanr([p["luts"] for p in points], synthesised).statistic),
        "ebops_spearman": float(spearmanr([p["ebops"] for p in points], synthesised).statistic),
        "members": len(points),
        "points": points,
    }
    if arguments.json:
        print(json.dumps(rows))
        return
    for name, value in rows.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
