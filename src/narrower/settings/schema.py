"""The settings file: every key that has a meaning, and what it may hold."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from narrower.data.catalogue import data_set_name
from narrower.models.catalogue import FILES, OUTPUT, model_name
from narrower.plan.formats.calibration import ADJUSTMENTS, METHODS
from narrower.plan.formats.fixed import OVERFLOWS, ROUNDINGS
from narrower.searching.space_settings import SIGNS, Kind
from narrower.settings import checks, format_checks, not_here
from narrower.settings.data_keys import DataKeys, own_task_of
from narrower.settings.layer_table import LayerSeed
from narrower.settings.strategy_table import OWN_TASK, Strategy
from narrower.settings.table import BatchSize, Count, Positive, Switch, Table, Text
from narrower.settings.tracker_table import TrackerTable
from narrower.settings.training_tables import RecipeTable

SeedNumber = Annotated[int, PlainValidator(checks.whole_number(0, 2**31 - 1))]

SPACE_KINDS: dict[str, Kind] = {
    "quantize": "quantize",
    "graph/quantize/mixed_precision_ptq": "quantize",
    "resize": "resize",
    "graph/quantize/channel_size_modifier": "resize",
    "quantize_and_resize": "quantize_and_resize",
}
EDGES = "edges"
ROUNDED_WHERE = ("operands", EDGES)  # where a product reads a tensor, or once where it is written
ACCELERATORS = ("cpu", "gpu", "mps", "auto")


class QuantizePass(Table):
    """``[passes.quantize]``: formats of layers that the search leaves alone, one option of each key."""

    by: Annotated[str, PlainValidator(checks.one_of(("name", "type", "regex")))] = "type"
    seed: dict[str, LayerSeed] = Field(default_factory=dict)  # in the file, beside "by" (respell.py)


class Passes(Table):
    """``[passes]``."""

    quantize: QuantizePass | None = None


class SpaceSetup(Table):
    """``[search.search_space.setup]``."""

    by: Annotated[str, PlainValidator(checks.one_of(("name", "type", "regex")))] = "name"
    uniform: Switch = False  # all layers that are resized have the same multiplier
    batch_norm: Annotated[str, PlainValidator(checks.one_of(("separate", "fold")))] = "separate"
    rounding: Annotated[str, PlainValidator(checks.one_of(ROUNDINGS.words))] | None = None  # half_even
    overflow: Annotated[str, PlainValidator(checks.one_of(OVERFLOWS.words))] = "saturate"
    sign: Annotated[str, PlainValidator(checks.one_of(SIGNS.words))] = "signed"
    calibration: Annotated[str, PlainValidator(checks.one_of(METHODS.words))] | None = None
    percentile: Annotated[float, PlainValidator(format_checks.percentile)] = 99.99
    calibration_samples: Count = 1024
    adjust: (  # how each plan's weights are changed for its formats
        Annotated[
            tuple[str, ...], PlainValidator(checks.list_of(checks.one_of(tuple(ADJUSTMENTS)), "['rounding']"))
        ]
        | None
    ) = None
    quantize: Annotated[str, PlainValidator(checks.one_of(ROUNDED_WHERE))] = "operands"
    agree: Switch = True  # edges that are added or joined have the same format


class SearchSpace(Table):
    """``[search.search_space]``."""

    name: Annotated[str, PlainValidator(checks.one_of(tuple(SPACE_KINDS), not_here.SPACES))]
    setup: SpaceSetup = SpaceSetup()
    seed: dict[str, LayerSeed]


class Search(Table):
    """``[search]``."""

    search_space: SearchSpace
    strategy: Strategy
    tracker: TrackerTable = TrackerTable()


@checks.allows(checks.TEXT)
def _no_output(value: Any) -> str:
    """Of a model of the user's it is put behind the model's name, where it is read."""
    raise ValueError(
        f"found {checks.shown(value)}; allowed: a name, of a model of your own or of a folder that gives "
        "several outputs and whose name has no '?output=' yet"
    )


class RunSettings(DataKeys):
    """A whole settings file."""

    model: Annotated[str, PlainValidator(checks.known(model_name, not_here.MODELS))]
    dataset: Annotated[str, PlainValidator(checks.known(data_set_name, not_here.DATA_SETS))]
    output: Annotated[str, PlainValidator(_no_output)] | None = None
    data_path: Text | None = None
    class_order: Annotated[tuple[str, ...], PlainValidator(checks.class_order)] | None = None
    max_epochs: Count = 10
    batch_size: BatchSize = 256
    learning_rate: Positive = 1e-2
    accelerator: Annotated[str, PlainValidator(checks.one_of(ACCELERATORS))] = "cpu"
    project: Annotated[str, PlainValidator(checks.directory_name)] | None = None
    seed: SeedNumber = 0
    log_every_n_steps: Count = 50
    training: RecipeTable | None = None
    passes: Passes | None = None
    load_name: Text | None = None
    load_type: Annotated[str, PlainValidator(checks.one_of(("pl", "pt", "safetensors", "mz")))] | None = None
    search: Search


def validated(tables: Mapping[str, Any]) -> RunSettings:
    """The settings that tables hold.

    Raises:
        ValidationError: with every mistake.
    """
    own = own_task_of(tables.get("dataset"), tables.get("task"))
    model, output = tables.get("model"), tables.get("output")
    if (
        isinstance(model, str)
        and (":" in model or model.endswith(FILES))
        and isinstance(output, str)
        and OUTPUT not in model
    ):
        rest = {key: value for key, value in tables.items() if key != "output"}
        tables = rest | {"model": f"{model}{OUTPUT}{output}"}
    return RunSettings.model_validate(tables, context={OWN_TASK: own is not None})
