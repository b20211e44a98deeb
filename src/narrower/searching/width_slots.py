"""From the multipliers that a user lists to slots of widths: one for each group of channels."""

from collections.abc import Iterable, Mapping

from narrower.errors import SettingsError
from narrower.graph.groups import Channels, Group
from narrower.graph.network import Network
from narrower.graph.parents import parents, producers
from narrower.plan import LayerPlan
from narrower.searching.space import Choice, Slot, make_slot
from narrower.searching.space_settings import LayerChoices

SEED = "search.search_space.seed"
UNIFORM = "all layers"


def width_slots(
    channels: Channels, chosen: Mapping[str, LayerChoices], named: Iterable[str], *, uniform: bool
) -> tuple[Slot, ...]:
    """A slot for each group with several multipliers, in the order of the network; ``uniform``: one for all.

    ``chosen`` are the choices by layer; of layers that are ``named`` one by one, the width must be able to
    change, others stay as they are where it cannot.

    Raises:
        SettingsError: a width cannot change or is no whole number, layers that change together are given
            different multipliers, or a parent is not one.
    """
    explicit = set(named)
    groups: dict[
        str, tuple[str, tuple[float, ...]]
    ] = {}  # by name: the layer that chose, and its multipliers
    for layer, choices in chosen.items():
        _check_parents(channels.network, layer, choices.width.parents)
        multipliers = choices.width.multipliers
        if not multipliers:
            continue
        group = channels.find_group(layer)
        if group is None or group.reasons:
            if layer in explicit and multipliers != (1.0,):
                reason = group.reasons[0] if group else "it computes no channels"
                raise SettingsError(
                    f"{SEED}.{layer}.config.channel_multiplier: the width of {layer} cannot change: {reason}"
                )
            continue
        for multiplier in multipliers:
            _check_whole(channels, layer, group, multiplier)
        before = groups.setdefault(group.name, (layer, multipliers))
        if set(before[1]) != set(multipliers):
            raise SettingsError(
                f"{SEED}.{layer}.config.channel_multiplier: {layer} and {before[0]} have the same channels, "
                f"but are given {_listed(multipliers)} and {_listed(before[1])}"
            )
    several = {name: multipliers for name, (_, multipliers) in groups.items() if multipliers != (1.0,)}
    if uniform and several:
        return (_uniform_slot(several),)
    return tuple(_slot(name, multipliers) for name, multipliers in several.items())


def _slot(name: str, multipliers: tuple[float, ...]) -> Slot:
    return make_slot(
        name,
        [Choice(f"{name}.channel_multiplier", multipliers)],
        {(number,): ((name, LayerPlan(width=value)),) for number, value in enumerate(multipliers)},
    )


def _uniform_slot(groups: Mapping[str, tuple[float, ...]]) -> Slot:
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


def _check_whole(channels: Channels, layer: str, group: Group, multiplier: float) -> None:
    try:
        channels.new_width(group, multiplier)
    except SettingsError as error:
        raise SettingsError(f"{SEED}.{layer}.config.channel_multiplier: {error}") from None


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
