"""What is said of a search before its first trial: what has no effect, or another than one may think."""

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import DataSet
from narrower.errors import nearest
from narrower.graph.groups import Channels
from narrower.graph.network import Network
from narrower.graph.program import Program
from narrower.searching.build_space import FIXED, fixed_choices, fixed_widths, passed_over
from narrower.searching.match_layers import SEED
from narrower.searching.space_settings import SpaceSettings
from narrower.settings.convert_objectives import objective_notes
from narrower.settings.convert_preparation import runner_notes
from narrower.settings.convert_space import space_notes
from narrower.settings.schema import RunSettings
from narrower.study.expressible import export_notes


def notes_of(
    settings: RunSettings,
    data: DataSet,
    program: Program,
    chosen: SpaceSettings,
    channels: Channels | None,
    *,
    has_objectives: bool,
) -> tuple[str, ...]:
    """Every sentence, in the order in which the settings file has what they are about."""
    return (
        *_data_notes(data),
        *(objective_notes(settings) if has_objectives else ()),
        *runner_notes(settings),
        *space_notes(settings),
        *_passed_over(program.network, chosen),
        *_fixed(channels, chosen),
        *_fixed_formats(program.network, chosen),
        *(group.sentence for group in missing(NetworkCost(program.network))),
        *export_notes(program),
    )


def _data_notes(data: DataSet) -> tuple[str, ...]:
    """What was done with the samples, and what targets that are no classes are taken for."""
    task = data.task
    names = ", ".join(metric.name for metric in task.metrics)
    said = f"{data.name}: task {task.words.name!r}, {task.words.targets_are}; metrics: {names}"
    return (*data.notes, said) if task.words.targets_are else data.notes


def _fixed(channels: Channels | None, settings: SpaceSettings) -> tuple[str, ...]:
    """One sentence for all layers that are named for another width, and keep theirs."""
    fixed = {} if channels is None else fixed_widths(channels, settings)
    layers = ", ".join(f"{layer} ({reason})" for layer, reason in fixed.items())
    return (f"layers whose width cannot change keep it: {layers}",) if fixed else ()


def _fixed_formats(network: Network, settings: SpaceSettings) -> tuple[str, ...]:
    """What becomes of the formats of layers that the search leaves alone."""
    if settings.fixed is None:
        return ()
    layers = fixed_choices(network, settings)
    if layers:
        return (f"{FIXED}: these layers have its formats in every plan: {', '.join(layers)}",)
    why = "a search of widths has none" if settings.resizes else "the search leaves none of its layers alone"
    return (f"{FIXED}: has no effect: {why}",)


def _passed_over(network: Network, settings: SpaceSettings) -> tuple[str, ...]:
    """One sentence for all keys of the space that match no layer."""
    keys = passed_over(network, settings)
    if not keys:
        return ()
    products = network.rounded_layers
    kinds = {operators[0].kind for operators in products.values()}
    known = {"name": tuple(products), "type": tuple(sorted(kinds)), "regex": ()}[settings.by]
    seeds = ", ".join(f"{SEED}.{key}{nearest(key, known)}" for key in keys)
    return (f"passed over, since no layer of {network.name} that could be changed matches: {seeds}",)
