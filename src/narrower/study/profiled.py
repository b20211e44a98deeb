"""What a named model costs on samples of a data set, and how long its float32 form takes here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from narrower.cost.chop import ChopProfile, chop_profile
from narrower.cost.profile import Profile, profile
from narrower.data.datasets import DataSet
from narrower.export.latency import LatencyRow, float_latency
from narrower.graph.called_modules import trace_or_call
from narrower.models.build import build_model
from narrower.models.checkpoints import load_weights
from narrower.models.finite import check_finite
from narrower.models.fit import check_fit


@dataclass(frozen=True, slots=True)
class Profiled:
    """Costs layer by layer and in total; ``latency`` is empty unless it was asked for."""

    costs: Profile | ChopProfile
    latency: tuple[LatencyRow, ...]


def profiled(
    model: str,
    data: DataSet,
    batch_size: int,
    *,
    as_chop: bool,
    with_latency: bool,
    load: Path | None,
    say: Callable[[str], None],
) -> Profiled:
    """Count what a model costs, by our rules or by those of MASE/chop; weights change no cost.

    Raises:
        NarrowerError: the model cannot be built or loaded, or does not fit the data.
    """
    network = build_model(model, sizes=data.sizes)
    if load is not None:
        network = load_weights(network, load, say=say)
    check_fit(network, data)
    picture = trace_or_call(network, data.examples, model).network
    rows: tuple[LatencyRow, ...] = ()
    if with_latency:
        check_finite(network, data.validation, "the validation part")
        rows = float_latency(network, data.validation.arguments, (1, batch_size))
    return Profiled(chop_profile(picture, batch_size) if as_chop else profile(picture, batch_size), rows)
