"""Which tensors of a checkpoint are a model's weights, under which names and in which of its tables they lie.

People keep weights at the top of a file or some tables deep, beside the state of an optimizer, with the names
of one wrapper or several before them, and beside what a loss or a profiler holds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrower.errors import CheckpointError, nearest

NAMED_PROBLEMS = 4
DEEPEST = 8  # tables within tables that are looked through
OF_AN_OPTIMIZER = ("state", "param_groups")
# What wrappers (DataParallel, compile, FSDP, activation checkpointing) put into names, also in their middle.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
PREFIXES = ("model", *sorted(WRAPPERS))  # of Lightning modules and wrappers
# Where weights are usually kept: these are taken before others that fit as well, such as moving averages.
USUAL_PLACES = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
)
# What losses, metrics and profilers hold beside a model's own tensors.
COUNTERS = frozenset({"total_ops", "total_params", "n_averaged"})
OF_A_LOSS = re.compile(
    r"(\w+_)?(criterion|criteria|loss(es)?|loss_?(fn|fun|func|function)|metrics?|acc|accuracy|class_?weights?|"
    r"pos_?weights?)(_\w+)?",
    re.IGNORECASE,
)
BATCH_COUNTER = "num_batches_tracked"  # absent where weights went through another framework; nothing uses it


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """A state dict by the model's own names, and what lies beside it and was passed over."""

    state: dict[str, Tensor]
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor of a file: the table that it lies in, and its name there."""

    table: str
    name: str
    tensor: Tensor

    @property
    def path(self) -> str:
        return f"{self.table}{self.name}"


@dataclass(frozen=True, slots=True)
class _Fit:
    """One way to read the model's weights from a file: the prefix that its names have there."""

    prefix: str
    by_name: Mapping[str, _Stored]  # the tensors that have the model's names
    unexpected: tuple[str, ...]  # what has the prefix as well, and no place in the model
    passed_over: tuple[str, ...]

    def quality(self, expected: Mapping[str, Tensor]) -> tuple[int, int, int]:
        """Better fits are larger."""
        of_shape = sum(expected[name].shape == found.tensor.shape for name, found in self.by_name.items())
        return len(self.by_name), of_shape, -len(self.unexpected)

    @property
    def place(self) -> tuple[int, int, int]:
        """How usual a place for weights this is; more usual ones are smaller."""
        parts = [part for part in self.prefix.split(".") if part]
        usual = [USUAL_PLACES.index(part) for part in parts if part in USUAL_PLACES]
        return len(parts) - len(usual), len(parts), sum(usual)


def stored_weights(content: Any, expected: Mapping[str, Tensor], path: Path, owner: str) -> StoredWeights:
    """The tensors of a checkpoint that are the weights of a model with this state dict.

    Counters of batches that the file does not have are the model's own. ``path`` and ``owner``, the name of
    the model, are for messages.

    Raises:
        CheckpointError: the file has no tensors, no set or several sets of weights that fit, or weights are
            missing, unexpected, of another shape, or no numbers.
    """
    try:
        stored = _tensors(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    fits = [*_fits(stored, expected, frozenset()), *_fits(stored, expected, WRAPPERS)]
    if not fits:
        largest = {found.name: found.tensor for found in _largest_table(stored)}
        raise _misfit(path, owner, _misfits(largest, expected, ()))
    best = min(fits, key=lambda fit: (*(-count for count in fit.quality(expected)), *fit.place))
    state = {name: found.tensor for name, found in best.by_name.items()}
    problems = _misfits(state, expected, best.unexpected) or _not_finite(state)
    if problems:
        raise _misfit(path, owner, problems)
    others = [fit for fit in fits if fit.quality(expected) == best.quality(expected) and _differ(fit, best)]
    rivals = [fit for fit in others if fit.place == best.place]
    if rivals:
        places = ", ".join(sorted({fit.prefix.rstrip(".") for fit in (best, *rivals)}))
        raise CheckpointError(
            f"{path}: it holds several sets of weights that fit {owner} ({places}); save the one that you "
            "mean alone"
        )
    passed_over = [*best.passed_over, *(fit.prefix.rstrip(".") for fit in others)]
    counters = {name: t for name, t in expected.items() if name.endswith(BATCH_COUNTER) and name not in state}
    return StoredWeights({**state, **counters}, tuple(dict.fromkeys(passed_over)))


def largest_state_dict(content: Any) -> dict[str, Tensor]:
    """The tensors of the largest table of a checkpoint, without a prefix that wrappers put before all names.

    Raises:
        CheckpointError: it has no tensors.
    """
    state = {found.name: found.tensor for found in _largest_table(_tensors(content))}
    while prefix := next((p for p in PREFIXES if all(name.startswith(f"{p}.") for name in state)), None):
        state = {name.removeprefix(f"{prefix}."): tensor for name, tensor in state.items()}
    return state


def _tensors(content: Any) -> list[_Stored]:
    """All tensors of a checkpoint, without the state of optimizers.

    Raises:
        CheckpointError: there is none.
    """
    if isinstance(content, Tensor) or not isinstance(content, Mapping | list | tuple):
        raise CheckpointError(f"it holds no state dict (names and tensors) but {type(content).__name__}")
    stored = list(_walk(content, "", frozenset()))
    if not stored and any(map(_is_optimizer, (content, *_values(content)))):
        raise CheckpointError(
            "it holds the state of an optimizer and no weights; save those as well: "
            "torch.save(model.state_dict(), 'weights.pt')"
        )
    if not stored:
        keys = ", ".join(map(repr, content)) if isinstance(content, Mapping) else f"{len(content)} values"
        raise CheckpointError(f"it holds no state dict: there is no tensor in it ({keys or 'it is empty'})")
    return stored


def _walk(table: Any, path: str, above: frozenset[int]) -> Iterator[_Stored]:
    if id(table) in above or len(above) >= DEEPEST:
        return
    entries = table.items() if isinstance(table, Mapping) else enumerate(table)
    left_out = OF_AN_OPTIMIZER if _is_optimizer(table) else ()
    for name, value in entries:
        if name in left_out:
            continue
        if isinstance(value, Tensor):
            yield _Stored(path, str(name), value)
        elif isinstance(value, Mapping | list | tuple):
            yield from _walk(value, f"{path}{name}.", above | {id(table)})


def _values(table: Any) -> Iterable[Any]:
    return table.values() if isinstance(table, Mapping) else table


def _is_optimizer(table: Any) -> bool:
    return isinstance(table, Mapping) and all(name in table for name in OF_AN_OPTIMIZER)


def _fits(
    stored: Iterable[_Stored], expected: Mapping[str, Tensor], left_out: frozenset[str]
) -> Iterator[_Fit]:
    """Every prefix under which some of the model's names are found, with ``left_out`` taken out of names."""
    names = {_without(name, left_out): name for name in expected}
    paths = {_without(found.path, left_out): found for found in stored}
    if len(names) < len(expected):
        return
    by_prefix: dict[str, dict[str, str]] = {}  # for each prefix the model's names, and the paths they have
    for path in paths:
        parts = path.split(".")
        for cut in range(len(parts)):
            if name := names.get(".".join(parts[cut:])):
                by_prefix.setdefault("".join(f"{part}." for part in parts[:cut]), {})[name] = path
    most = max(map(len, by_prefix.values()), default=0)
    others = tuple(prefix for prefix, found in by_prefix.items() if len(found) == most)
    for prefix, found in by_prefix.items():
        tables, matched = {paths[path].table for path in found.values()}, set(found.values())
        beside = [path for path, tensor in paths.items() if tensor.table in tables and path not in matched]
        elsewhere = tuple(other for other in others if other != prefix and other.startswith(prefix))
        unexpected = [
            path
            for path in beside
            if path.startswith(prefix)
            and not path.startswith(elsewhere)
            and not _is_of_a_loss_or_profiler(path.removeprefix(prefix))
        ]
        yield _Fit(
            prefix,
            {name: paths[path] for name, path in found.items()},
            tuple(path.removeprefix(prefix) for path in unexpected),
            _summed_up([path for path in beside if path not in unexpected], paths),
        )


def _without(name: str, left_out: frozenset[str]) -> str:
    return ".".join(part for part in name.split(".") if part not in left_out) if left_out else name


def _is_of_a_loss_or_profiler(name: str) -> bool:
    parts = name.split(".")
    return _is_counter(name) or OF_A_LOSS.fullmatch(parts[0]) is not None


def _summed_up(paths: Iterable[str], stored: Mapping[str, _Stored]) -> tuple[str, ...]:
    """Names as they are in their table: counters once, and of each module the first part."""
    names = [stored[path].name for path in paths]
    short = [name.rpartition(".")[2] if _is_counter(name) else name for name in names]
    several = [name.partition(".")[0] for name in short]
    return tuple(
        dict.fromkeys(
            f"{first}.*" if several.count(first) > 1 and "." in name else name
            for name, first in zip(short, several, strict=True)
        )
    )


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] in COUNTERS


def _differ(one: _Fit, other: _Fit) -> bool:
    pairs = [
        (one.by_name[name].tensor, other.by_name[name].tensor)
        for name in one.by_name
        if name in other.by_name
    ]
    return any(a.dtype != b.dtype or not torch.equal(a, b) for a, b in pairs)


def _largest_table(stored: Iterable[_Stored]) -> list[_Stored]:
    tables: dict[str, list[_Stored]] = {}
    for found in stored:
        tables.setdefault(found.table, []).append(found)
    return max(tables.values(), key=len)


def _misfits(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], unexpected: Iterable[str]
) -> list[str]:
    unknown = [*unexpected, *(name for name in state if name not in expected)]
    problems = [
        f"missing {name}{nearest(name, unknown)}"
        for name in expected
        if name not in state and not name.endswith(BATCH_COUNTER)
    ]
    problems += [f"unexpected {name}" for name in unknown]
    return problems + [
        f"{name} has shape {tuple(state[name].shape)}, the model's has {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]


def _not_finite(state: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{name} holds NaN or infinity"
        for name, tensor in state.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all()
    ]


def _misfit(path: Path, owner: str, problems: list[str]) -> CheckpointError:
    more = f"; and {len(problems) - NAMED_PROBLEMS} more" if len(problems) > NAMED_PROBLEMS else ""
    return CheckpointError(f"{path} does not fit {owner}: {'; '.join(problems[:NAMED_PROBLEMS])}{more}")
