"""Which layers of a network the keys of a space mean: names, types or patterns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from narrower.errors import SettingsError, SeveralMistakesError, nearest
from narrower.graph.network import Network

SEED = "search.search_space.seed"


@dataclass(frozen=True, slots=True)
class Matches:
    """For each layer the key that means it, and for each key that means none, why."""

    keys: Mapping[str, str]
    unmatched: Mapping[str, str]


def match_layers(network: Network, by: str, keys: Mapping[str, bool], *, where: str = SEED) -> Matches:
    """Find the layers of all keys; a layer that several patterns match belongs to the first.

    ``keys`` tell whether operands are to get formats: a layer without operands is no match then. ``where`` is
    the table of the settings file that the keys stand in.

    Raises:
        SettingsError: a name could mean two layers, two names mean the same layer, or a pattern is none.
    """
    find = {"name": _by_name, "type": _by_type, "regex": _by_regex}[by]
    found: dict[str, str] = {}
    unmatched: dict[str, str] = {}
    for key, needs_operands in keys.items():
        layers = find(network, key, where)
        if isinstance(layers, str):
            unmatched[key] = layers
            continue
        if needs_operands and not any(layer in network.rounded_layers for layer in layers):
            unmatched[key] = (
                f"{layers[0]} has no operands to quantize; layers that have: {_products(network)}"
            )
            continue
        for layer in layers:
            if layer in found and by == "name":
                raise SettingsError(f"{where}.{key}: layer {layer} is named twice")
            found.setdefault(layer, key)
    return Matches(found, unmatched)


def require_matches(matches: Matches, where: str = SEED) -> None:
    """Check that some key matches, where there are any.

    Raises:
        SettingsError: none does; with why not, for each.
    """
    if matches.unmatched and not matches.keys:
        raise SeveralMistakesError(f"{where}.{key}: {reason}" for key, reason in matches.unmatched.items())


def _by_name(network: Network, name: str, where: str) -> tuple[str, ...] | str:
    """The layer that a name in either spelling means, ``seq_blocks.2`` or ``seq_blocks_2``."""
    known = {**dict.fromkeys(network.layers), **{path: None for path, _ in network.module_types if path}}
    if name in known:
        return (name,)
    matches = [layer for layer in known if layer.replace(".", "_") == name.replace(".", "_")]
    if len(matches) > 1:
        raise SettingsError(f"{where}.{name}: could mean {' or '.join(matches)}; write it with dots")
    if matches:
        return tuple(matches)
    return (
        f"{network.name} has no layer {name!r}{nearest(name, [*network.rounded_layers, *known])}; "
        f"layers that can be quantized: {_products(network)}"
    )


def _by_type(network: Network, key: str, _where: str) -> tuple[str, ...] | str:
    kinds = {layer: {o.kind for o in operators} for layer, operators in network.rounded_layers.items()}
    matches = tuple(layer for layer, own in kinds.items() if key.lower() in own)
    if matches:
        return matches
    present = sorted(set().union(*kinds.values()))
    return (
        f"{network.name} has no layer of type {key!r}{nearest(key, present)}; its types: {', '.join(present)}"
    )


def _by_regex(network: Network, key: str, where: str) -> tuple[str, ...] | str:
    try:
        pattern = re.compile(key)
    except (re.error, RecursionError, OverflowError) as error:
        raise SettingsError(f"{where}.{key}: not a regular expression: {error}") from None
    matches = tuple(layer for layer in network.rounded_layers if pattern.fullmatch(layer))
    if matches:
        return matches
    return f"the pattern matches no layer that can be quantized; there are: {_products(network)}"


def _products(network: Network) -> str:
    return ", ".join(network.rounded_layers)
