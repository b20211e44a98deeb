"""Find which whole numbers that modules keep must follow a group of channels, by trying them.

A view such as ``view(batch, tokens, self.num_heads, self.head_size)`` does not run at another number of heads
until the module says so itself. Candidates are the numbers that are read in a call, in the modules around the
group's parameters. A choice of them is right where the model, with other weights and every channel twice,
gives outputs that are those from before, or a multiple of them (an embedding that is tied sums every channel
twice): a wrong one mixes channels of different heads.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.graph.groups import Channels, Group
from narrower.graph.own_copy import own_copy
from narrower.graph.own_sizes import OwnSize, keeps_own_sizes, own_sizes
from narrower.transform.tries import Tries, outputs_of, wider

MOST_TRIES = 200  # choices of numbers for one group
TOLERANCE = 1e-3  # of outputs, relative to their largest
Key = str  # the name of a number, its layer's place in a list left out: those of all layers go together


def with_own_sizes(found: Channels, failing: Sequence[Sequence[Group]], tried: Tries) -> Channels:
    """The channels, with the numbers that let groups change which do not run otherwise.

    ``failing`` are sets of groups, each of which changes as a whole.
    """
    held = own_sizes(tried.model)
    read = {name: held[name] for name in _read(tried) if name in held} if held and failing else {}
    known: list[tuple[Key, ...]] = []
    probe = _probe(tried) if read else tried
    for groups in failing:
        by_key = _candidates(found, groups, read)
        for chosen in _choices(by_key, known):
            sizes = tuple(size for key in chosen for size in by_key[key])
            changed = replace(found, own_sizes=(*found.own_sizes, *sizes))
            if _stays_whole(changed, groups, tried) and _is_right(changed, groups, tried, probe):
                known.append(chosen)
                found = changed
                break
    return found


def _choices(
    by_key: Mapping[Key, Sequence[OwnSize]], known: Sequence[tuple[Key, ...]]
) -> Iterator[tuple[Key, ...]]:
    """What was right for another group, then every choice, small ones first."""
    yield from (chosen for chosen in dict.fromkeys(known) if by_key.keys() >= set(chosen))
    every = (chosen for count in range(1, len(by_key) + 1) for chosen in combinations(by_key, count))
    yield from islice(every, MOST_TRIES)


def _stays_whole(found: Channels, groups: Sequence[Group], tried: Tries) -> bool:
    """Whether every number is whole at the sizes that are tried."""
    try:
        for times in (2, None):
            wider(found, (tried.by_shape or tried).model, groups, times)
    except ModelError:
        return False
    return True


def _is_right(found: Channels, groups: Sequence[Group], tried: Tries, probe: Tries) -> bool:
    """With every channel twice, and with one unit more; with this, averages over channels may change.

    Twice the heads and twice the tokens give the same, so that the first of these is not enough.
    """
    by_shape = tried.by_shape
    if by_shape is not None and any(by_shape.failure(found, groups, times) for times in (2, None)):
        return False
    averages = any("averages" in note or "goes over" in note for group in groups for note in group.notes)
    for times in (2, None):
        if probe.failure(found, groups, times) is not None:
            return False
        outputs = outputs_of(wider(found, probe.model, groups, times), probe.examples)
        if (times == 2 or not averages) and not all(map(_is_multiple, outputs, probe.wanted)):  # noqa: PLR2004
            return False
    return True


def _is_multiple(output: Tensor, wanted: Tensor) -> bool:
    if not wanted.is_floating_point():
        return torch.equal(output, wanted)
    largest = wanted.abs().max()
    factor = (output * wanted).sum() / (wanted * wanted).sum()
    difference = (output - factor * wanted).abs().max()
    return bool(largest > 0 and factor > 0 and difference <= TOLERANCE * factor * largest)


def _probe(tried: Tries) -> Tries:
    """The model with other numbers: with those that it begins with, heads often give nearly the same."""
    model = own_copy(tried.model)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.dim() > 1:
                parameter.copy_(torch.randn_like(parameter) * (2 * len(parameter) / parameter.numel()) ** 0.5)
            elif parameter.is_floating_point():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return Tries(model, tried.examples, outputs_of(model, tried.examples))


def _candidates(
    found: Channels, groups: Sequence[Group], read: Mapping[str, int]
) -> dict[Key, list[OwnSize]]:
    """The numbers that may follow the groups: what the owner of a parameter keeps is one of its sizes."""
    family = found.families_of(groups[0])[0]
    units = found.units_in(family)
    shapes = {parameter.name: parameter.shape for parameter in found.network.parameters}
    own: dict[str, set[Any]] = defaultdict(set)
    around: set[str] = set()
    for name, position in (held for group in groups for held in group.dimensions):
        path = name.rpartition(".")[0]
        own[path].add(shapes[name][position])
        while path:
            path = path.rpartition(".")[0]
            around.add(path)
    by_key: dict[Key, list[OwnSize]] = defaultdict(list)
    for name, value in read.items():
        path, _, attribute = name.rpartition(".")
        size = OwnSize(path, attribute, value, family, units)
        fits = path in around or value in own[path]
        if fits and value > 0 and _grows(size, found, groups):
            by_key[re.sub(r"\.\d+(?=\.)", "", f".{name}")].append(size)
    return by_key


def _grows(size: OwnSize, found: Channels, groups: Sequence[Group]) -> bool:
    """Whether it is a whole number with any number of units."""
    families = [found.units_in(family) for group in groups for family in found.families_of(group)]
    try:
        size.at(size.units + size.units // gcd(*families))
    except ModelError:
        return False
    return True


def _read(tried: Tries) -> list[str]:
    """The attributes that a call of the model reads; none where its modules cannot be watched."""
    model = own_copy(tried.model, tried.model.parameters())
    names: dict[str, None] = {}
    for path, module in model.named_modules():
        if keeps_own_sizes(module):
            module.__class__ = _watching(type(module), f"{path}." if path else "", names)
    try:
        outputs_of(model, tried.examples)
    except Exception:
        return []  # a class that no other one can stand for
    return list(names)


def _watching(kind: type[nn.Module], prefix: str, names: dict[str, None]) -> type[nn.Module]:
    def read(self: nn.Module, attribute: str) -> Any:
        names[prefix + attribute] = None
        return kind.__getattribute__(self, attribute)

    return type(kind.__name__, (kind,), {"__getattribute__": read, "__module__": kind.__module__})
