"""What a network takes on a processor, computed from its C without compiling it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from narrower.errors import unknown_name
from narrower.export.device.code_features import code_features
from narrower.export.device.linkage import symbols
from narrower.export.device.network import CNetwork

TABLE = Path(__file__).with_name("processor_costs.json")
OWN_CODE_MARGIN = 1.03  # the fit errs both ways: what keeps to a budget here does so once it is linked
TYPED = re.compile(r"^(load|store|convolve|dot|largest|sum)_([a-z0-9]+?)(_.*)?$")


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
    code = library_bytes(network, table["functions"])
    own = sum(count * table["own code"][name] for name, count in code_features(network.source).items())
    code += own * OWN_CODE_MARGIN
    cycles = sum(
        work.calls * table["cycles"][f"{group_of(function)}:calls"]
        + work.elements * table["cycles"][f"{group_of(function)}:elements"]
        for function, work in network.work.items()
    )
    return DeviceCosts(round(code) + network.constant_bytes, network.ram_bytes, round(cycles), round(code))


def group_of(function: str) -> str:
    """The functions that take alike: of one kind, whatever the type of the numbers."""
    function = function.removesuffix("_wide")
    typed = TYPED.match(function)
    if typed is None:
        return function
    kind, held = typed[1], typed[3] or ""
    real = "_real" if typed[2] in ("real", "float") else ""
    return f"{kind}{real}{'_packed' if 'packed' in held else ''}"


def library_bytes(network: CNetwork, sizes: Mapping[str, int]) -> int:
    """The code of what a network uses of the library, by the size of each function."""
    return sum(sizes.get(symbol, 0) for function in network.functions for symbol in symbols(function))


@cache
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return tables
