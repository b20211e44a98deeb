"""Which channels of a named model change together, and the model with other widths, in a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from narrower.cost.missing import missing
from narrower.cost.network_cost import NetworkCost
from narrower.cost.profile import profile
from narrower.data.arguments import Arguments
from narrower.data.sizes import Sizes
from narrower.graph.groups import Group
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.study.resized_files import save_resized
from narrower.transform.new_sizes import Weights
from narrower.transform.resized import resize
from narrower.transform.tried_channels import groups


@dataclass(frozen=True, slots=True)
class NewWidths:
    """Widths by layer, as multipliers or as numbers of channels, and what the tensors start from."""

    multipliers: Mapping[str, float]
    channels: Mapping[str, int]
    weights: Weights
    seed: int


@dataclass(frozen=True, slots=True)
class ResizedLayer:
    """What a layer holds and takes, before and after."""

    layer: str
    parameters: int
    parameters_after: int
    macs: int
    macs_after: int


@dataclass(frozen=True, slots=True)
class Resized:
    """The layers that have parameters or products; ``notes`` say what of the new network is not counted."""

    layers: tuple[ResizedLayer, ...]
    notes: tuple[str, ...]


def channel_groups(model: str, example: Arguments, sizes: Sizes) -> tuple[Group, ...]:
    """The groups of channels of a model, in the order in which they are found."""
    return groups(build_model(model, sizes=sizes).eval(), example)


def save_with_widths(
    model: str,
    example: Arguments,
    sizes: Sizes,
    wanted: NewWidths,
    output: Path,
    *,
    load: Path | None,
    say: Callable[[str], None],
) -> Resized:
    """Write a model with other widths as safetensors, and say what its layers hold before and after.

    Raises:
        NarrowerError: the model cannot be built, loaded or resized, or the file cannot be written.
    """
    before = build_model(model, seed=wanted.seed, sizes=sizes).eval()
    if load is not None:
        before = load_weights(before, load, say=say).eval()
    after = resize(
        before,
        example,
        wanted.multipliers,
        channels=wanted.channels,
        weights=wanted.weights,
        seed=wanted.seed,
    )
    pictures = [trace(module, example, model).network for module in (before, after)]
    save_resized(after, model, output)
    olds, news = (profile(picture).layers for picture in pictures)
    layers = tuple(
        ResizedLayer(old.layer, old.parameters, new.parameters, old.macs, new.macs)
        for old, new in zip(olds, news, strict=True)
        if old.parameters or old.macs
    )
    return Resized(layers, tuple(group.sentence for group in missing(NetworkCost(pictures[-1]))))
