"""Which functions of C are merged into their callers: fixed, so that code takes what is computed for it."""

import re

from narrower.export.device.runtime_typed import LIBRARY

# ``noipa`` keeps gcc from making copies for single callers as well.
ATTRIBUTES = """
#if defined(__clang__)
#define APART __attribute__((noinline))
#define MERGED __attribute__((always_inline)) inline
#elif defined(__GNUC__)
#define APART __attribute__((noipa))
#define MERGED __attribute__((always_inline)) inline
#else
#define APART
#define MERGED
#endif
"""
SHORT = frozenset({"real_open", "real_key", "wrapped", "into"})  # a call takes as much
FREE = frozenset({"next_weight"})  # called for each weight: fast where one function alone calls it
FUNCTION = re.compile(r"^static (\w+) (\w+)\(", re.MULTILINE)


def linked(text: str) -> str:
    """The text of functions with the word of how they are linked before each."""
    return FUNCTION.sub(_marked, text)


def _marked(found: re.Match[str]) -> str:
    kind, name = found.groups()
    if name in FREE:
        return found[0]
    return f"static {'MERGED' if name in SHORT else 'APART'} {kind} {name}("


def symbols(name: str) -> list[str]:
    """The functions in a piece of the library."""
    return [function for _, function in FUNCTION.findall(LIBRARY[name].text)]
