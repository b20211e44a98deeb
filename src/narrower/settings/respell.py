"""What people write in files for MASE/chop, brought into the form that the schema has."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from narrower.errors import UnknownNameError
from narrower.models.catalogue import model_name
from narrower.searching.samplers.catalogue import spelled_sampler
from narrower.settings.checks import shown

Path = tuple[str, ...]

STRATEGY: Path = ("search", "strategy")
SEEDS: Path = ("search", "search_space", "seed")
THREE_LINEAR, THREE_LINEAR_RELU = "jsc-three-linear", "jsc-three-linear-relu"


@dataclass(slots=True)
class Respelled:
    """The tables of a file in the schema's form, and what has to be said of what was changed.

    ``ignored`` are keys that were passed over; ``moved`` tells for a key of the schema where in the file it
    stands.
    """

    tables: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    moved: dict[Path, Path] = field(default_factory=dict)

    def table(self, path: Path) -> dict[str, Any] | None:
        """The table at a path; None where there is none."""
        found: Any = self.tables
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    def made_table(self, path: Path) -> dict[str, Any] | None:
        """The table at a path, made where nothing is there; None where something else is."""
        found: Any = self.tables
        for name in path:
            found = found.setdefault(name, {}) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    def place(self, path: Path) -> Path:
        """Where in the file a key of the schema stands."""
        return place_in_file(path, self.moved)


def place_in_file(path: Path, moved: Mapping[Path, Path]) -> Path:
    """Where in the file a key of the schema stands; ``moved`` has those that stand elsewhere."""
    for length in range(len(path), 0, -1):
        if path[:length] in moved:
            return (*moved[path[:length]], *path[length:])
    return path


def respelled(tables: Mapping[str, Any]) -> Respelled:
    """Bring the tables of a file into the schema's form; what is wrong stays as it is, to be found there."""
    found = Respelled(copy.deepcopy(dict(tables)))
    for respell in (
        _three_linear,
        _sw_runner,
        _data_loader,
        _strategy_name,
        _parents,
        _repeated_options,
        _passes,
    ):
        respell(found)
    return found


def _three_linear(found: Respelled) -> None:
    """What people call the three-layer jet tagger has ReLUs between its layers or not: its layers tell."""
    given = found.tables.get("model")
    seeds = {seed.replace("_", ".") for seed in found.table(SEEDS) or {}}
    if not isinstance(given, str) or ":" in given or "seq.blocks.6" not in seeds:
        return
    with suppress(UnknownNameError):
        if model_name(given) == THREE_LINEAR:
            found.tables["model"] = THREE_LINEAR_RELU
            found.notes.append(
                f"model: {given!r} is taken for {THREE_LINEAR_RELU!r}, the one that has a layer seq_blocks.6"
            )


def _sw_runner(found: Respelled) -> None:
    """``[search.sw_runner]`` is meant as ``[search.strategy.sw_runner]``."""
    search, strategy = found.table(("search",)), found.table(STRATEGY)
    if search is None or strategy is None or "sw_runner" not in search:
        return
    table = search.pop("sw_runner")
    if "sw_runner" in strategy:
        found.ignored.append("search.sw_runner")
    else:
        strategy["sw_runner"] = table
        found.moved[(*STRATEGY, "sw_runner")] = ("search", "sw_runner")


def _data_loader(found: Respelled) -> None:
    """``data_loader`` at the top is that of ``basic_evaluation``."""
    if "data_loader" not in found.tables or found.table(STRATEGY) is None:
        return
    path = (*STRATEGY, "sw_runner", "basic_evaluation")
    evaluation = found.made_table(path)
    if evaluation is None:
        return
    value = found.tables.pop("data_loader")
    if "data_loader" in evaluation:
        found.ignored.append("data_loader")
    else:
        evaluation["data_loader"] = value
        found.moved[(*path, "data_loader")] = ("data_loader",)


def _strategy_name(found: Respelled) -> None:
    """A sampler's name as the name of the strategy is that sampler."""
    strategy = found.table(STRATEGY)
    name = strategy.get("name") if strategy is not None else None
    sampler = spelled_sampler(name) if isinstance(name, str) else None
    setup = found.made_table((*STRATEGY, "setup")) if sampler else None
    if strategy is None or sampler is None or setup is None:
        return
    strategy["name"] = "optuna"
    before = setup.get("sampler", sampler)
    setup["sampler"] = sampler
    found.moved[(*STRATEGY, "setup", "sampler")] = (*STRATEGY, "name")
    if before != sampler:
        found.notes.append(
            f"search.strategy.name: {name!r} is the sampler {sampler!r}; "
            f"search.strategy.setup.sampler = {shown(before)} is passed over"
        )


def _parents(found: Respelled) -> None:
    """``parent`` is ``parent_block_name``."""
    for seed in found.table(SEEDS) or {}:
        path = (*SEEDS, seed, "config")
        config = found.table(path)
        if config is not None and "parent" in config and "parent_block_name" not in config:
            config["parent_block_name"] = config.pop("parent")
            found.moved[(*path, "parent_block_name")] = (*path, "parent")


def _passes(found: Respelled) -> None:
    """``[passes.quantize]`` has a table for each layer beside its own keys, and one value for each key."""
    passes = found.table(("passes",))
    for name in [name for name in passes or {} if name != "quantize"]:
        found.ignored.append(f"passes.{name}")
        del found.tables["passes"][name]
    quantize = found.table(("passes", "quantize"))
    if quantize is None or ("seed" in quantize and "config" not in quantize["seed"]):
        return  # none, or in the schema's form, as runs record it
    if "report" in quantize:
        found.ignored.append("passes.quantize.report")
        del quantize["report"]
    seeds = {key: table for key, table in quantize.items() if isinstance(table, dict)}
    for key, table in seeds.items():
        del quantize[key]
        found.moved[("passes", "quantize", "seed", key)] = ("passes", "quantize", key)
        config = table.get("config")
        if isinstance(config, dict):
            table["config"] = {
                name: [value] if not isinstance(value, list | dict) else value
                for name, value in config.items()
            }
    quantize["seed"] = seeds


def _repeated_options(found: Respelled) -> None:
    """An option that is listed twice is one option."""
    repeated = []
    for seed in found.table(SEEDS) or {}:
        path = (*SEEDS, seed, "config")
        config = found.table(path) or {}
        for key, options in config.items():
            if isinstance(options, list):
                config[key] = _once(options)
                if len(config[key]) < len(options):
                    repeated.append(".".join(found.place((*path, key))))
    if repeated:
        found.notes.append(f"options that are listed several times count once: {', '.join(repeated)}")


def _once(options: list[Any]) -> list[Any]:
    kept: dict[tuple[type, Any], Any] = {}
    for number, option in enumerate(options):
        is_plain = isinstance(option, str | int | float)
        kind = str if isinstance(option, str) else bool if isinstance(option, bool) else float
        kept.setdefault((kind, option) if is_plain else (list, number), option)
    return list(kept.values())
