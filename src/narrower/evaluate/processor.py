"""Whether this processor has dot products of bytes, and what it does without."""

import os
import platform
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from narrower.errors import SettingsError

SWITCH = "NARROWER_VNNI"
# x86 instructions that add four products of bytes in 32 bits; ARM's are "dot" and "i8mm".
BYTE_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "dot", "i8mm")
X86 = frozenset({"x86_64", "amd64", "i386", "i686"})


def multiplies_bytes_fast() -> bool:
    """Whether products of bytes can be faster than those of float32.

    The environment variable ``NARROWER_VNNI`` set to ``off`` makes any processor count as one without.

    Raises:
        SettingsError: the variable has another value.
    """
    return not _is_switched_off() and _has_byte_dot_products()


def saturates_pairs() -> bool:
    """Whether libraries add pairs of products of bytes in 16 bits here, as on x86 without VNNI.

    Raises:
        SettingsError: ``NARROWER_VNNI`` has another value than ``off``.
    """
    is_without = _is_switched_off() or not _has_byte_dot_products()
    return is_without and (_is_switched_off() or platform.machine().lower() in X86)


def _is_switched_off() -> bool:
    said = os.environ.get(SWITCH, "")
    if said not in ("", "off"):
        raise SettingsError(
            f"the environment variable {SWITCH} is {said!r}; it is either 'off' (as on a processor without "
            "dot products of bytes) or not set"
        )
    return said == "off"


@cache
def _has_byte_dot_products() -> bool:
    """What the processor says of itself, asked once for each process."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is None:  # PyTorch before 2.11 tells of the first kind alone
        return bool(torch.cpu._is_vnni_supported())
    said: Mapping[str, Any] = ask()
    return any(said.get(name, False) for name in BYTE_DOT_PRODUCTS)
