"""What a header in C says of inputs and outputs: their names, and what they are in raw values."""

import json
from dataclasses import dataclass

from narrower.data.prepared import Prepared, PreparedFeature, Scaling


@dataclass(frozen=True, slots=True)
class Described:
    """What outputs stand for, and how the input was made; None: it is not known."""

    output_names: tuple[str, ...] = ()
    prepared: Prepared | None = None


NOTHING_SAID = Described()


def prepared_lines(upper: str, prepared: Prepared | None) -> list[str]:
    """Lines of a header; macros that nobody uses take neither memory nor code."""
    if prepared is None:
        return []
    (made,) = prepared.inputs
    lines: list[str] = []
    if made.features:
        lines += ["", "/* Inputs, in their order:"]
        lines += [f" * {number} {_feature(one)}" for number, one in enumerate(made.features)]
        lines.append(" */")
    if made.scaling is not None:
        lines += _macros(upper, "INPUT", made.scaling, "an input is (raw - mean) / deviation, in double")
    if prepared.outputs is not None:
        lines += _macros(
            upper,
            "OUTPUT",
            prepared.outputs,
            "a raw value is (an output, as a real number) * deviation + mean",
        )
    return [*lines, ""]


def _macros(upper: str, what: str, scaling: Scaling, meaning: str) -> list[str]:
    each = "one for each channel: " if len(scaling.shape) > 1 else ""
    return [
        "",
        f"/* {each}{meaning}; static const double mean[] = {upper}_{what}_MEAN; */",
        f"#define {upper}_{what}_MEAN {_braced(scaling.mean)}",
        f"#define {upper}_{what}_DEVIATION {_braced(scaling.deviation)}",
    ]


def _braced(values: tuple[float, ...]) -> str:
    return "{" + ", ".join(map(repr, values)) + "}"


def _feature(feature: PreparedFeature) -> str:
    how = {
        "number": "a number",
        "time": "microseconds since 1970",
        "one-hot": f"1 where it is {_text(feature.category)}, else 0",
        "code": f"the place, from 0, in {', '.join(map(_text, feature.categories))}",
    }[feature.kind]
    missing = "" if feature.missing is None else f"; what is missing is {_text(feature.missing)}"
    return f"of {_text(feature.column)}: {how}{missing}"


def _text(value: object) -> str:
    """JSON, in which nothing ends a comment in C or begins one."""
    return json.dumps(value).replace("*", "\\u002a")
