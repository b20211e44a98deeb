"""``narrower doctor``: what is installed and what is missing for what, on this machine."""

import os
import platform
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.console import answer, print_json, print_table
from narrower.store.installation import Installed, core_packages, extras

# Programs that are called where they are there, and for what.
PROGRAMS = {
    "cc": "C code of a plan is compiled and run",
    "verilator": "Verilog is simulated quickly",
    "yosys": "the look-up tables of a plan are counted by synthesis",
    "git": "a run records the commit that it was made with",
}
ENOUGH_BYTES = 10**9

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def doctor(as_json: Json = False) -> int:
    """Say which versions, extras and programs are there, and what is missing for what.

    Ends with 2 where a package is missing that every command needs, or nothing can be written here.
    """
    core, machine = core_packages(), _machine()
    missing = [one.package for one in core if one.version is None]
    programs = {name: shutil.which(name) for name in PROGRAMS}
    can_write = _can_write(Path.cwd())
    free = shutil.disk_usage(Path.cwd()).free
    code = 2 if missing or not can_write else 0
    if as_json:
        print_json(
            {
                "packages": {one.package: one.version for one in core},
                "extras": {one.name: asdict(one) | {"installed": one.is_there} for one in extras()},
                "programs": programs,
                "machine": machine,
                "writable": can_write,
                "free_bytes": free,
            }
        )
        return code
    rows = [(name, value) for name, value in machine.items()]
    rows.append(("here", f"{Path.cwd()}: {_written(can_write)}, {free / 1e9:,.1f} GB free"))
    print_table(("machine", ""), rows)
    print_table(("package", "version"), [(one.package, one.version or "missing") for one in core])
    print_table(
        ("extra", "there", "for"),
        [
            (one.name, "yes" if one.is_there else f"no: {_lacks(one.packages)}", one.purpose)
            for one in extras()
        ],
    )
    print_table(
        ("program", "there", "for"),
        [(name, programs[name] or "no", purpose) for name, purpose in PROGRAMS.items()],
    )
    for line in _advice(missing, can_write, free):
        answer(line)
    return code


def _machine() -> dict[str, str]:
    """What computes, and with how many threads."""
    found = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
    try:
        import torch
    except ImportError as error:
        return found | {"torch": f"cannot be imported: {error}"}
    device = "none; searches run on the processor, which is enough for small networks"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        device = "Apple's (mps)"
    return found | {"accelerator": device, "threads of torch": str(torch.get_num_threads())}


def _can_write(directory: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _written(can_write: bool) -> str:
    return "runs can be written" if can_write else "nothing can be written"


def _lacks(packages: tuple[Installed, ...]) -> str:
    return ", ".join(one.package for one in packages if one.version is None)


def _advice(missing: list[str], can_write: bool, free: int) -> list[str]:
    lines = [f"missing: {', '.join(missing)}; install with: pip install narrower"] if missing else []
    lines += [
        f"for the extra {one.name}: pip install 'narrower[{one.name}]'"
        for one in extras()
        if not one.is_there
    ]
    if not can_write:
        lines.append("runs are written below the working directory: go where you may write")
    if free < ENOUGH_BYTES:
        lines.append("less than 1 GB is free here")
    return lines or ["nothing is missing"]
