"""What takes code in the functions that a network's C has of its own, counted in their text."""

import re
from collections import Counter
from collections.abc import Mapping

FUNCTION = re.compile(r"^(?:static APART )?void (\w+)\(([^)]*)\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"^\s*\w+\((.*)\);$", re.MULTILINE)
PLACE = re.compile(r"\bk\d+_\w+|\b(?:words|halves|sums|others|wide)\b|&g\b|= held\b")
CONSTANT = re.compile(r"static const .*")
NUMBER = re.compile(r"(?<![\w.])(?:0x[0-9a-f]+|\d+)(?=u?\b)")
IN_REGISTERS = 4  # arguments of a call
SHORT = 255  # the largest number within an instruction
INNER = re.compile(r"^ {12,}for \(", re.MULTILINE)


def own_functions(source: str) -> dict[str, Mapping[str, int]]:
    """The features of each function of a network's source that is none of the library, by its name."""
    found = FUNCTION.findall(source)
    return {
        name: _features(parameters, body)
        for name, parameters, body in found
        if name.startswith("step_") or name.endswith(("_run", "_round"))
    }


def code_features(source: str) -> Mapping[str, int]:
    """The sum over the functions of a network."""
    total: Counter[str] = Counter()
    for features in own_functions(source).values():
        total.update(features)
    return total


def _features(parameters: str, body: str) -> Mapping[str, int]:
    calls = [arguments.count(",") + 1 for arguments in CALL.findall(body)]
    numbers = [int(number, 0) for number in NUMBER.findall(CONSTANT.sub("", body))]
    return {
        "functions": 1,
        "parameters": 0 if parameters == "void" else parameters.count(",") + 1,
        "loops": body.count("for ("),
        "inner loops": len(INNER.findall(body)),
        "calls": len(calls),
        "arguments": sum(calls),
        "arguments on the stack": sum(max(0, count - IN_REGISTERS) for count in calls),
        "places": len(set(PLACE.findall(body))),
        "long numbers": sum(number > SHORT for number in numbers) + body.count("INT32_M"),
        "divisions": body.count(" / "),
        "packed weights": body.count("weights start"),
        "copies of packed weights": body.count("w = start") + body.count("start = w"),
        "choices": body.count("if (") + body.count("?"),
    }
