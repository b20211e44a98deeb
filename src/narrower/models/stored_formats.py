"""Formats with a width for each entry as tensors in a file of weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from narrower.errors import CheckpointError, SettingsError
from narrower.plan.formats.fixed_each import ARRAYS, OVERFLOWS, FixedEach
from narrower.plan.formats.stored_each import TENSORS, StoredEach
from narrower.plan.plan import OPERANDS, Plan

Held = TypeVar("Held")


def format_tensors(plan: Plan) -> dict[str, Tensor]:
    """Of each such format of a plan: ``narrower.formats.OVERFLOW.DIGEST.widths``, ``.fracs``, ``.signs``."""
    found = {getattr(layer, operand) for _, layer in plan.layers for operand in OPERANDS}
    return {
        f"{TENSORS}{each.overflow}.{each.digest}.{name}": torch.from_numpy(getattr(each, name).copy())
        for each in found
        if isinstance(each, FixedEach)
        for name in ARRAYS
    }


def without_formats(tensors: Mapping[str, Held]) -> dict[str, Held]:
    """The tensors that are weights."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(TENSORS)}


def formats_of(tensors: Mapping[str, Tensor]) -> dict[str, FixedEach]:
    """The formats of ``format_tensors`` by their text.

    Raises:
        CheckpointError: an array is missing, or is not what its digest says.
    """
    arrays: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parts = name.removeprefix(TENSORS).split(".")
        if name.startswith(TENSORS) and len(parts) == 3:  # noqa: PLR2004 - overflow, digest, array
            arrays.setdefault((parts[0], parts[1]), {})[parts[2]] = tensor
    found = {}
    for (overflow, digest), held in arrays.items():
        if overflow not in OVERFLOWS or set(held) != set(ARRAYS):
            raise CheckpointError(f"{TENSORS}{overflow}.{digest}: its arrays are not those of a format")
        each = FixedEach(**{name: held[name].numpy() for name in ARRAYS}, overflow=overflow)
        if each.digest != digest:
            raise CheckpointError(f"{TENSORS}{overflow}.{digest}: its arrays are others than its digest says")
        found[each.text] = each
    return found


def formats_in(path: Path) -> dict[str, FixedEach]:
    """The formats that lie in a safetensors file; none in any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(TENSORS)]  # noqa: SIM118 - no mapping
            return formats_of({name: file.get_tensor(name) for name in names})
    except (SafetensorError, OSError):
        return {}  # reading its weights says why


def with_stored(plan: Plan, known: Mapping[str, FixedEach], source: object) -> Plan:
    """The plan with the arrays of ``known`` formats in the place of their digests.

    Raises:
        SettingsError: ``source`` does not hold a format that the plan names.
    """
    layers = {}
    for name, layer in plan.layers:
        formats = [getattr(layer, operand) for operand in OPERANDS]
        for operand, each in zip(OPERANDS, formats, strict=True):
            if isinstance(each, StoredEach) and each.text not in known:
                raise SettingsError(f"plan.{name}.{operand}: {each.text}: {source} does not hold its widths")
        data, weight, bias = (known.get(each.text, each) for each in formats)
        layers[name] = replace(layer, data=data, weight=weight, bias=bias)
    return Plan.of(layers)
