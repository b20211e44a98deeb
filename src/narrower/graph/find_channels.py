"""Find which dimensions of which parameters of a model must change together."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from narrower.errors import ModelError
from narrower.graph.channels.dimensions import flat, is_labelled, size_of
from narrower.graph.channels.labelling import Kept, Labelling
from narrower.graph.channels.rules import RULES
from narrower.graph.describe import first_names
from narrower.graph.groups import Channels, Group, layer_that_computes, repeats
from narrower.graph.network import Network
from narrower.graph.program import Program


def find_channels(model: nn.Module, program: Program, kept: Kept = frozenset()) -> Channels:
    """The groups of a traced model, in the order of its parameters; ``kept`` as for ``Labelling``.

    Raises:
        ModelError: the model could not be traced.
    """
    if program.untraced is not None:
        raise ModelError(f"{program.untraced.reason}; its channels cannot be followed")
    folding, program = program.folding, program.as_traced
    names = first_names(model)
    held = {node: names.get(name, name) for node, name in program.parameter_names.items()}
    packed = {
        f"{path}.{tensor}" if path else tensor
        for path, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        for tensor in ("in_proj_weight", "in_proj_bias")
    }
    labelling = Labelling(program.graph, RULES, held, packed, kept)
    for name in (*packed, *(name for name in names if name.endswith("q_proj_weight"))):
        _tie_heads(labelling, name)
    for node, name in held.items():
        if name not in names.values():  # constants that tracing found
            for dimension in labelling.parameters.get(name, ()):
                labelling.merger.fix(dimension, f"{node} is a constant")
    _hold_buffers(labelling, {names[name] for name, _ in model.named_buffers(remove_duplicate=False)})
    return replace(_grouped(model, program.network, labelling, names), folding=folding)


def _hold_buffers(labelling: Labelling, buffers: set[str]) -> None:
    """What begins in buffers alone stays: nothing computes its values, so that none can be added."""
    merger = labelling.merger
    rows = {
        (name, position): set(merger.roots(flat(labelling.parameters[name][position])))
        for name, position in labelling.sources
        if is_labelled(labelling.parameters[name][position])
    }
    computed = {root for (name, _), roots in rows.items() if name not in buffers for root in roots}
    for (name, position), roots in rows.items():
        if name in buffers and not roots & computed:
            merger.fix(labelling.parameters[name][position], f"{name} is a buffer of constants")


def _tie_heads(labelling: Labelling, name: str) -> None:
    """Multi-head attention has as many inputs as its heads have channels together."""
    dimensions = labelling.parameters.get(name, ())
    if len(dimensions) == 2 and all(is_labelled(dimension) for dimension in dimensions):  # noqa: PLR2004
        inputs = flat(dimensions[1])
        labelling.merger.same(flat(dimensions[0])[: len(inputs)], inputs)


def _grouped(model: nn.Module, network: Network, labelling: Labelling, names: Mapping[str, str]) -> Channels:
    merger = labelling.merger
    order = {name: number for number, (name, _) in enumerate(model.named_parameters())}
    sources = sorted(labelling.sources, key=lambda source: (order.get(source[0], len(order)), source[1]))
    rows = {
        source: list(dict.fromkeys(merger.roots(flat(labelling.parameters[source[0]][source[1]]))))
        for source in sources
        if is_labelled(labelling.parameters[source[0]][source[1]])
    }
    group_of: dict[int, int] = {}  # by root
    members: dict[int, set[int]] = {}
    for number, roots in enumerate(rows.values()):
        joined = {group_of[root] for root in roots if root in group_of}
        merged = set(roots).union(*(members.pop(group) for group in joined))
        members[number] = merged
        group_of.update(dict.fromkeys(merged, number))
    seen_in: dict[int, list[tuple[str, int, int]]] = defaultdict(list)  # where, and how often
    for name, dimensions in labelling.parameters.items():
        for position, dimension in enumerate(dimensions):
            counts = Counter(merger.roots(flat(dimension))) if is_labelled(dimension) else {}
            for root, count in counts.items():
                seen_in[root].append((name, position, count))
    holding = _holding(labelling, group_of)
    groups: list[Group] = []
    places: dict[int, tuple[int, int]] = {}
    families: list[tuple[int, int]] = []
    for group in dict.fromkeys(group_of[roots[0]] for roots in rows.values()):
        own = sorted(members[group])
        parts: dict[tuple[tuple[str, int, int], ...], list[int]] = defaultdict(list)
        for root in own:
            parts[tuple(seen_in[root])].append(root)
        for part in parts.values():
            for number, root in enumerate(part):
                places[root] = len(families), number
            families.append((len(groups), len(part)))
        computed = [source for source, roots in rows.items() if group_of[roots[0]] == group]
        layers = tuple(dict.fromkeys(layer_that_computes(name) for name, _ in computed))
        first_name, first_position = computed[0]
        groups.append(
            Group(
                name=layers[0],
                layers=layers,
                width=len(own),
                unit=size_of(labelling.parameters[first_name][first_position])
                // repeats(first_name, labelling)
                // len(rows[computed[0]]),
                families=tuple(len(part) for part in parts.values()),
                dimensions=tuple(holding[group]),
                reasons=merger.reasons(own),
                notes=tuple(
                    dict.fromkeys(
                        note
                        for dimension, note in labelling.notes
                        if is_labelled(dimension) and set(merger.roots(flat(dimension))) & members[group]
                    )
                ),
            )
        )
    found = Channels(tuple(groups), network, labelling, places, tuple(families), names)
    return replace(found, groups=tuple(_checked(found, group) for group in found.groups))


def _checked(channels: Channels, group: Group) -> Group:
    copies = {family: tuple(range(channels.units_in(family))) for family in channels.families_of(group)}
    try:
        for parameter, position in group.dimensions:
            channels.indices(parameter, position, copies)
    except ModelError as error:
        return replace(group, reasons=(*group.reasons, f"{parameter}: {error}"))
    return group


def _holding(labelling: Labelling, group_of: Mapping[int, int]) -> dict[int, list[tuple[str, int]]]:
    holding: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for name, dimensions in labelling.parameters.items():
        for position, dimension in enumerate(dimensions):
            if is_labelled(dimension):
                for group in dict.fromkeys(
                    group_of[root] for root in labelling.merger.roots(flat(dimension)) if root in group_of
                ):
                    holding[group].append((name, position))
    return holding
