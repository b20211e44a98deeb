"""Run benchmarks, keep what they gave with machine and versions, and write benchmarks/README.md from it.

python tools/write_benchmark_tables.py [NAME ...] [-- OPTIONS OF THE ONE BENCHMARK]

Without names nothing runs, and the page is written from benchmarks/results/ as it is.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "benchmarks" / "README.md"
PACKAGES = ("torch", "numpy", "onnxruntime", "optuna")
HEAD = """# What was measured

Written by `tools/write_benchmark_tables.py NAME`, which runs `benchmarks/NAME.py --json` and keeps what it
gave in `results/`. Times are ratios of runs in turns in one process unless a row says otherwise; the load is
the number of processes that the machine was running when the benchmark began, beside which absolute seconds
say little. What each row means is said in the first lines of its script.

"""


def measure(name: str, options: list[str]) -> None:
    """Run one benchmark and keep its rows.

    Raises:
        CalledProcessError: the benchmark failed; nothing is written then.
    """
    facts = {
        "options": options,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
    }
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--json", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    text = json.dumps({**facts, "rows": json.loads(done.stdout)}, indent=1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def page() -> str:
    """All that is kept, a table for each benchmark."""
    return HEAD + "\n".join(_section(path) for path in sorted(RESULTS.glob("*.json")))


def _section(path: Path) -> str:
    kept = json.loads(path.read_text(encoding="utf-8"))
    script = (ROOT / "benchmarks" / f"{path.stem}.py").read_text(encoding="utf-8")
    question = script.split('"""')[1].split("\n\n")[0].replace("\n", " ").strip()
    versions = ", ".join(f"{name} {number}" for name, number in kept["versions"].items())
    where = f"{kept['processor']}, {kept['cores']} cores, load {kept['load']}"
    command = " ".join(["python", f"benchmarks/{path.stem}.py", "--json", *kept["options"]])
    lines = [f"## {path.stem}", "", question, ""]
    lines += [f"`{command}` at {kept['commit']} on {kept['date']}; {where}; {versions}.", ""]
    lines += ["| row | value |", "| --- | ---: |"]
    lines += [f"| `{name}` | {value} |" for name, value in _rows(kept["rows"])]
    return "\n".join(lines) + "\n"


def _rows(found: Any, before: str = "") -> list[tuple[str, str]]:
    """Nested rows by their path; lists that are no interval stay in the JSON file."""
    rows: list[tuple[str, str]] = []
    for name, value in found.items():
        path = f"{before}.{name}" if before else name
        if isinstance(value, dict):
            rows += _rows(value, path)
        elif isinstance(value, list):
            rows += [(path, text)] if (text := _interval(value)) else []
        else:
            rows.append((path, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _interval(numbers: list[Any]) -> str:
    """A value, the ends of its interval, and where that is counted in how many trainings it is sure."""
    if len(numbers) not in (3, 4) or not numbers[1] <= numbers[0] <= numbers[2]:
        return ""
    value, low, high, *trainings = numbers
    sure = f"; {trainings[0]} of the trainings" if trainings else ""
    return f"{value:.4g} ({low:.4g} to {high:.4g}{sure})"


def _commit() -> str:
    """The commit that is checked out, and whether sources differ from it."""
    git = ["git", "-C", str(ROOT)]
    short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True
    )
    return short.stdout.strip() + (" with changes" if changed.stdout else "")


def _processor() -> str:
    """Its name as Linux gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


if __name__ == "__main__":
    given = sys.argv[1:]
    names, options = (
        (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    )
    for benchmark in names:
        measure(benchmark, options)
    PAGE.write_text(page(), encoding="utf-8")
