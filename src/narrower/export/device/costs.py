"""What a network takes on a processor, computed from its C without compiling it."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from narrower.errors import unknown_name
from narrower.export.device.network import CNetwork

TABLE = Path(__file__).with_name("processor_costs.json")
TYPED = re.compile(r"^(load|store|convolve|dot|largest|sum)_([a-z0-9]+?)(_.*)?$")
FEATURES = ("network", "steps", "loops", "loads", "products", "calls")


@dataclass(frozen=True, slots=True)
class DeviceCosts:
    """Bytes of flash (code and constants) and RAM (static), and cycles of one sample.

    Code is that of GCC at -Os. A cycle is an instruction: on a Cortex-M4 or a small RV32 most take one.
    """

    flash_bytes: int
    ram_bytes: int
    cycles: int
    code_bytes: int


def device_costs(network: CNetwork, processor: str) -> DeviceCosts:
    """The costs on a processor by the table that ``tools/calibrate_processors.py`` measured in QEMU.

    Raises:
        UnknownNameError: there is no table for such a processor.
    """
    tables = _tables()
    if processor not in tables:
        raise unknown_name("processor", processor, tables)
    table = tables[processor]
    sites = site_features(network)
    code = sum(table["functions"].get(function, 0) for function in network.functions)
    code += sum(count * table["sites"][name] for name, count in zip(FEATURES, sites, strict=True))
    cycles = sum(
        work.calls * table["cycles"].get(f"{group_of(function)}:calls", 0)
        + work.elements * table["cycles"].get(f"{group_of(function)}:elements", 0)
        for function, work in network.work.items()
    )
    return DeviceCosts(round(code) + network.constant_bytes, network.ram_bytes, round(cycles), round(code))


def group_of(function: str) -> str:
    """The functions that take alike: of one kind, whatever the type of the numbers."""
    typed = TYPED.match(function)
    if typed is None:
        return function
    kind, held = typed[1], typed[3] or ""
    real = "_real" if typed[2] in ("real", "float") else ""
    return f"{kind}{real}{'_packed' if 'packed' in held else ''}"


def site_features(network: CNetwork) -> list[int]:
    """How much there is of what takes code: in the order of ``FEATURES``."""
    moves = sum(w.sites for f, w in network.work.items() if f.startswith(("load_", "store_")))
    products = sum(w.sites for f, w in network.work.items() if f.startswith(("convolve_", "dot_")))
    others = sum(w.sites for w in network.work.values()) - moves - products
    return [1, network.steps, network.loops, moves, products, others]


@cache
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return tables
