"""A search described by command-line options, instead of a file or on top of one."""

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from narrower.errors import SettingsError, SeveralMistakesError
from narrower.settings.explain import dotted, mistakes
from narrower.settings.schema import RunSettings, validated

BOUND = re.compile(r"\s*(?P<metric>[\w.:]+?)\s*(?P<sign><=|>=)\s*(?P<value>\S+)\s*")
ENDS = {"<=": "max", ">=": "min"}
WHERE = "options"


def settings_from_options(  # noqa: PLR0913 - one argument for each group of options
    *,
    layers: str,
    widths: dict[str, Sequence[str]],
    fractions: str,
    objectives: Sequence[str],
    bounds: Sequence[str],
    setup: dict[str, Any],
    samples: int | None,
    top: dict[str, Any],
    trackers: Sequence[str] | None = None,
    rounding: str | None = None,
    overflow: str | None = None,
    sign: str | None = None,
    calibration: str | None = None,
    batch_norm: str | None = None,
) -> RunSettings:
    """The settings of a search over one set of choices for all layers whose name matches ``layers``.

    Raises:
        SettingsError: with the option's key, what was found and what is allowed.
    """
    config: dict[str, Any] = {"name": ["integer"]}
    for operand, options in widths.items():
        config[f"{operand}_width"] = [_number(option) for option in options]
        config[f"{operand}_frac_width"] = [_number(fractions)]
    strategy: dict[str, Any] = {
        "setup": _given(setup),
        "metrics": _objectives(objectives),
        "constraints": _constraints(bounds),
    }
    if samples is not None:
        strategy["sw_runner"] = {"basic_evaluation": {"num_samples": samples}}
    tables = _given(top)
    tables["search"] = {
        "search_space": {
            "name": "quantize",
            "setup": _given(
                {
                    "by": "regex",
                    "rounding": rounding,
                    "overflow": overflow,
                    "sign": sign,
                    "calibration": calibration,
                    "batch_norm": batch_norm,
                }
            ),
            "seed": {layers: {"config": config}},
        },
        "strategy": strategy,
        "tracker": _given({"names": trackers}),
    }
    return _validated(tables)


def with_options(
    settings: RunSettings,
    *,
    top: dict[str, Any],
    setup: dict[str, Any] | None = None,
    samples: int | None = None,
    trackers: Sequence[str] | None = None,
) -> RunSettings:
    """Settings of a file with other values where an option gives one.

    Raises:
        SettingsError: with the option's key, what was found and what is allowed.
    """
    tables = settings.model_dump(exclude_none=True, warnings=False, by_alias=True) | _given(top)
    strategy = tables["search"]["strategy"]
    strategy["setup"] |= _given(setup or {})
    if samples is not None:
        strategy["sw_runner"]["basic_evaluation"]["num_samples"] = samples
    if trackers is not None:
        tables["search"]["tracker"]["names"] = list(trackers)
    return _validated(tables)


def whole(settings: RunSettings) -> RunSettings:
    """Settings of one part of a search as those of the whole."""
    tables = settings.model_dump(exclude_none=True, warnings=False, by_alias=True)
    tables["search"]["strategy"]["setup"].pop("part", None)
    return _validated(tables)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if value is not None
    }


def _validated(tables: dict[str, Any]) -> RunSettings:
    try:
        return validated(tables)
    except ValidationError as error:
        found = [f"{WHERE}: {dotted(key)}: {what}" for key, what in mistakes(error)]
        raise SeveralMistakesError(found, WHERE) from None


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text.strip()) else text.strip()


def _objectives(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """From ``bitops`` or ``package.module:function=maximize``, each metric once."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, direction = text.partition("=")
        if name in found:
            raise SettingsError(f"--objective: {name!r} is given twice")
        found[name] = {"direction": direction} if direction else {}
    return found


def _constraints(bounds: Sequence[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for text in bounds:
        match = BOUND.fullmatch(text)
        try:
            value = float(match["value"]) if match else None
        except ValueError:
            value = None
        if match is None or value is None or not isfinite(value):
            raise SettingsError(f"--constraint: found {text!r}; allowed: 'bitops<=5000' or 'loss>=0.1'")
        bounds_of_metric, end = found.setdefault(match["metric"], {}), ENDS[match["sign"]]
        if end in bounds_of_metric:
            raise SettingsError(
                f"--constraint: {match['metric']} has two bounds with {match['sign']} "
                f"({bounds_of_metric[end]:g} and {value:g}); give one, or one with <= and one with >="
            )
        bounds_of_metric[end] = value
    return found
