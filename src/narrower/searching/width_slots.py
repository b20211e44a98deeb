"""From the multipliers that a user lists to slots of widths: one for each group of channels."""

from collections.abc import Iterable, Mapping

from narrower.errors import Mistakes, SettingsError
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.graph.parents import parents, producers
from narrower.plan.plan import LayerPlan
from narrower.searching.match_layers import SEED
from narrower.searching.space import Choice, ListedSlot, make_slot
from narrower.searching.space_settings import LayerChoices

UNIFORM = "all layers"


def width_slots(
    channels: Channels, chosen: Mapping[str, LayerChoices], named: Iterable[str], *, uniform: bool
) -> tuple[ListedSlot, ...]:
    """A slot for each group with several multipliers, in the order of the network; ``uniform``: one for all.

    ``chosen`` are the choices by layer; of layers that are ``named`` one by one, the width must be able to
    change, others stay as they are where it cannot.

    Raises:
        SettingsError: a width cannot change or is no whole number, layers that change together are given
            different multipliers, or a parent is not one.
    """
    explicit, mistakes = set(named), Mistakes()
    groups: dict[
        str, tuple[str, tuple[float, ...]]
    ] = {}  # by name: the layer that chose, and its multipliers
    for layer, choices in chosen.items():
        with mistakes.about():
            _check_parents(channels.network, layer, choices.width.parents)
        reason = why_fixed(channels, layer)
        if reason is not None and layer in explicit and choices.width.wants_change:
            mistakes.found.append(f"{_where(layer, choices)}: the width of {layer} cannot change: {reason}")
        group = None if reason else channels.find_group(layer)
        if group is None or not choices.width.is_given:
            continue
        multipliers = _multipliers(channels, layer, choices)
        for multiplier in multipliers:
            with mistakes.about(_where(layer, choices)):
                channels.new_width(group, multiplier)
        before = groups.setdefault(group.name, (layer, multipliers))
        if set(before[1]) != set(multipliers):
            mistakes.found.append(
                f"{_where(layer, choices)}: {layer} and {before[0]} have the same channels, "
                f"but are given {_listed(multipliers)} and {_listed(before[1])}"
            )
    mistakes.check()
    several = {name: multipliers for name, (_, multipliers) in groups.items() if multipliers != (1.0,)}
    if uniform and several:
        return (_uniform_slot(several),)
    return tuple(_slot(name, multipliers) for name, multipliers in several.items())


def why_fixed(channels: Channels, layer: str) -> str | None:
    """Why the width of a layer cannot change; None where it can."""
    group = channels.find_group(layer)
    if group is None:
        return "it computes no channels"
    return group.reasons[0] if group.reasons else None


def _where(layer: str, choices: LayerChoices) -> str:
    return f"{SEED}.{layer}.config.{'out_features' if choices.width.channels else 'channel_multiplier'}"


def _multipliers(channels: Channels, layer: str, choices: LayerChoices) -> tuple[float, ...]:
    """The multipliers that were listed, or those that give the listed numbers of channels."""
    now = channels.channels_of(layer) if choices.width.channels else 1
    given = [count / now for count in choices.width.channels]
    return tuple(dict.fromkeys([*choices.width.multipliers, *given]))


def _slot(name: str, multipliers: tuple[float, ...]) -> ListedSlot:
    return make_slot(
        name,
        [Choice(f"{name}.channel_multiplier", multipliers)],
        {(number,): ((name, LayerPlan(width=value)),) for number, value in enumerate(multipliers)},
    )


def _uniform_slot(groups: Mapping[str, tuple[float, ...]]) -> ListedSlot:
    multipliers = next(iter(groups.values()))
    for name, own in groups.items():
        if set(own) != set(multipliers):
            raise SettingsError(
                f"{SEED}.{name}.config.channel_multiplier: found {_listed(own)}, and {_listed(multipliers)} "
                f"for {next(iter(groups))}; with uniform = true all layers have the same multipliers"
            )
    return make_slot(
        UNIFORM,
        [Choice(f"{UNIFORM}.channel_multiplier", multipliers)],
        {
            (number,): tuple((name, LayerPlan(width=value)) for name in groups)
            for number, value in enumerate(multipliers)
        },
    )


def _check_parents(network: Network, layer: str, named: Iterable[str]) -> None:
    for name in named:
        known = {module: module for module, _ in network.module_types} | {own: own for own in network.layers}
        spelled = {path.replace(".", "_"): path for path in known}
        parent = known.get(name) or spelled.get(name.replace(".", "_"))
        where = f"{SEED}.{layer}.config.parent_block_name"
        if parent is None:
            raise SettingsError(
                f"{where}: {network.name} has no layer {name!r}; {_true_parents(network, layer)}"
            )
        passed = parents(network, layer) if layer in network.layers else ()
        if not any(path == parent or path.startswith(f"{parent}.") for path in passed):
            raise SettingsError(f"{where}: found {name!r}, but {_true_parents(network, layer)}")


def _true_parents(network: Network, layer: str) -> str:
    found = producers(network, layer) if layer in network.layers else ()
    return f"the inputs of {layer} are " + (
        f"the outputs of {', '.join(found)}" if found else "those of the model"
    )


def _listed(multipliers: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in multipliers) + "]"
