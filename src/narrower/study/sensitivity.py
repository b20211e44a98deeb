"""What one rounded layer does to a network: each layer, each format, weights, data or both."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf, log10

from torch import Tensor, nn

from narrower.cost.network_cost import NetworkCost
from narrower.data.parts import DataSet, Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.errors import SettingsError, nearest
from narrower.evaluate.batch_size import largest_value
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.heap import drop_copies
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.signs import unsigned_layers
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.plan import LayerPlan, Plan
from narrower.report.layer_sensitivity import LayerSensitivity, Measured, losing_order
from narrower.searching.build_space import build_space
from narrower.searching.format_names import NAMED
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.tasks.task import LOSS

ROUNDED = ("weight", "data", "both")
LARGEST_VALUES = 2**25  # elements of the largest value of a batch
LEAST_AT_ONCE = 16  # samples
WITHOUT_KEYS = tuple(name for name, named in NAMED.items() if not named.keys)


def layer_sensitivity(
    model: nn.Module,
    model_name: str,
    data: DataSet,
    part: Part,
    *,
    widths: Sequence[int],
    formats: Sequence[str] = (),
    signed: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> LayerSensitivity:
    """Round one layer at a time to fixed point of some widths, with the best fractions, and to other formats.

    Raises:
        SettingsError: a name is no format that needs no more to be said.
    """
    program = trace_or_call(model, data.examples, model_name)
    chosen = _plans(program, data, widths, formats, signed=signed)
    lowered = lower(program)
    batch_size = min(SAMPLES_AT_ONCE, max(LEAST_AT_ONCE, LARGEST_VALUES // largest_value(lowered)))
    drop_copies(lowered.tensors.values())
    evaluator = Evaluator(lowered, part, batch_size=batch_size)
    cost = NetworkCost(program.network)
    (base,) = evaluator.evaluate([Plan()], loss=True)
    reference = evaluator.own_outputs(Plan())
    wanted = list(_wanted(chosen))
    found: dict[int, Measured] = {}
    progress(0, len(wanted))
    for number in _spread(wanted):
        layer, rounded, name, plan = wanted[number]
        whole = Plan.of({layer: plan})
        (quality,) = evaluator.evaluate([whole], loss=True)
        if quality.failure is not None:
            raise SettingsError(f"{layer} in {name}: {quality.failure}")
        found[number] = Measured(
            layer,
            rounded,
            name,
            plan.weight.bits if rounded == "weight" else plan.data.bits,
            dict(quality.metrics),
            quality.metrics[LOSS] - base.metrics[LOSS],
            _sqnr_db(reference, evaluator.own_outputs(whole)),
            cost.layer_bitops(layer, cost.formats(whole)),
        )
        progress(len(found), len(wanted))
    measured = [found[number] for number in range(len(wanted))]
    names = tuple(chosen)
    return LayerSensitivity(dict(base.metrics), len(part), names, tuple(measured), losing_order(measured))


def _plans(
    program: Program, data: DataSet, widths: Sequence[int], formats: Sequence[str], *, signed: bool
) -> dict[str, dict[str, LayerPlan]]:
    """For each format, what every layer has in it."""
    for name in formats:
        if name not in WITHOUT_KEYS:
            raise SettingsError(
                f"format {name!r}{nearest(name, WITHOUT_KEYS)}; allowed: {', '.join(WITHOUT_KEYS)}; fixed "
                "point is asked for by its widths"
            )
    network = program.network
    unsigned = frozenset() if signed else unsigned_layers(network)
    calibration = Calibration(lower(program), *data.train.arguments, unsigned=unsigned)
    choices = {str(width): LayerChoices(("fixed",), *(_operand(width),) * 3) for width in widths}
    choices |= {name: LayerChoices((name,)) for name in formats}
    found = {}
    for name, choice in choices.items():
        settings = SpaceSettings("name", (), choice, sign="signed" if signed else "auto")
        space = build_space(network, settings, calibration.fraction, values=calibration)
        found[name] = dict(space.plan(space.options_at(0)).layers)
    return found


def _operand(width: int) -> OperandChoices:
    return OperandChoices((width,), ("auto",))


def _wanted(chosen: Mapping[str, Mapping[str, LayerPlan]]) -> Iterator[tuple[str, str, str, LayerPlan]]:
    """Layer by layer: what is rounded, the format's name and the plan; a bias goes with its weight."""
    layers = dict.fromkeys(layer for plans in chosen.values() for layer in plans)
    for layer in layers:
        for rounded in ROUNDED:
            for name, plans in chosen.items():
                plan = plans[layer]
                if rounded != "both" and plan.weight == FLOAT32:
                    continue  # a product of data alone
                if rounded != "weight" and plan.data == FLOAT32:
                    continue  # an embedding: it reads whole numbers
                if rounded == "weight":
                    plan = _without_data(plan)
                elif rounded == "data":
                    plan = LayerPlan(data=plan.data)
                yield layer, rounded, name, plan


def _spread(wanted: Sequence[tuple[str, str, str, LayerPlan]]) -> list[int]:
    """The numbers of what is wanted, layer by layer from all over the network.

    A layer near the output leaves less to compute than one near the input: in this order what is done takes
    as long for each as what is left will.
    """
    layers = list(dict.fromkeys(layer for layer, *_ in wanted))
    digits = len(layers).bit_length()
    places = {layer: f"{place:0{digits}b}"[::-1] for place, layer in enumerate(layers)}
    return sorted(range(len(wanted)), key=lambda number: places[wanted[number][0]])


def _without_data(plan: LayerPlan) -> LayerPlan:
    """The same with data as they are."""
    return LayerPlan(FLOAT32, plan.weight, plan.bias)


def _sqnr_db(reference: Tensor, outputs: Tensor) -> float:
    """Signal to quantization noise of outputs, in decibels; infinite where they are equal."""
    noise = float((outputs.double() - reference.double()).square().sum())
    signal = float(reference.double().square().sum())
    return inf if noise == 0 else -inf if signal == 0 else 10 * log10(signal / noise)
