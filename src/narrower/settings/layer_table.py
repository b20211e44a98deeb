"""What a settings file may say of one layer: the options of its operands, or its widths."""

from typing import Annotated, Any

from pydantic import PlainValidator

from narrower.preparation.learning.settings import LEAST_WIDTH, MOST_WIDTH
from narrower.searching import format_names
from narrower.settings import checks, format_checks
from narrower.settings.table import Table

Widths = Annotated[tuple[Any, ...], PlainValidator(checks.list_of(format_checks.width, "[4, 8]"))]
Fractions = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(format_checks.fraction, "['NA'] or [2, 4]"))
]
ExponentWidths = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["exponent_width"]))
]
ExponentBiases = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["exponent_bias"]))
]
BlockSizes = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["block_size"]))
]
Stochastic = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["stochastic"]))
]
Bipolar = Annotated[tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["bipolar"]))]
Ranges = Annotated[tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["range"]))]
Sparsities = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["sparsity"]))
]
Switches = Annotated[
    tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["symmetric"]))
]
Scales = Annotated[tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["scales"]))]
Parts = Annotated[tuple[Any, ...], PlainValidator(checks.list_of(*format_checks.FORMAT_OPTIONS["per"]))]
Multipliers = Annotated[
    tuple[float, ...], PlainValidator(checks.list_of(format_checks.multiplier, "[0.5, 1, 2]"))
]
Features = Annotated[
    tuple[int, ...], PlainValidator(checks.list_of(checks.whole_number(1, 10**6), "[16, 32]"))
]
Names = Annotated[tuple[str, ...], PlainValidator(checks.list_of(checks.text, "['seq_blocks_2']"))]
Learned = Annotated[
    tuple[str, ...],
    PlainValidator(checks.list_of(checks.one_of(("weight", "data")), "['weight', 'data']")),
]
AllowedWidths = Annotated[
    tuple[int, ...], PlainValidator(checks.list_of(checks.whole_number(0, MOST_WIDTH), "[0, 2, 4, 8]"))
]
GRANULARITIES = ("tensor", "channel", "weight")


class LayerConfig(Table):
    """``[search.search_space.seed.<layer>.config]``: what may be chosen for a layer.

    Which names and keys mean something depends on the kind of space.
    """

    name: (
        Annotated[
            tuple[str, ...],
            PlainValidator(
                checks.list_of(
                    checks.one_of(
                        (*format_checks.FAMILIES, *format_checks.SCOPES, *format_checks.KINDS_OF_LAYERS),
                        format_names.ABSENT,
                    ),
                    "['integer'] or ['NA']",
                )
            ),
        ]
        | None
    ) = None
    channel_multiplier: Multipliers | None = None
    parent_block_name: Names | None = None
    in_features: Features | None = None
    out_features: Features | None = None
    data_in_width: Widths | None = None
    data_in_frac_width: Fractions = ("NA",)
    weight_width: Widths | None = None
    weight_frac_width: Fractions = ("NA",)
    bias_width: Widths | None = None
    bias_frac_width: Fractions = ("NA",)
    data_in_exponent_width: ExponentWidths | None = None
    data_in_exponent_bias: ExponentBiases = ("NA",)
    weight_exponent_width: ExponentWidths | None = None
    weight_exponent_bias: ExponentBiases = ("NA",)
    bias_exponent_width: ExponentWidths | None = None
    bias_exponent_bias: ExponentBiases = ("NA",)
    learn: Learned | None = None
    granularity: Annotated[str, PlainValidator(checks.one_of(GRANULARITIES))] | None = None
    max_width: Annotated[int, PlainValidator(checks.whole_number(LEAST_WIDTH, MOST_WIDTH))] | None = None
    allowed: AllowedWidths | None = None
    data_in_block_size: BlockSizes | None = None
    weight_block_size: BlockSizes | None = None
    bias_block_size: BlockSizes | None = None
    data_in_stochastic: Stochastic | None = None
    weight_stochastic: Stochastic | None = None
    bias_stochastic: Stochastic | None = None
    data_in_bipolar: Bipolar | None = None
    weight_bipolar: Bipolar | None = None
    bias_bipolar: Bipolar | None = None
    data_in_scaling_factor: Switches | None = None
    weight_scaling_factor: Switches | None = None
    bias_scaling_factor: Switches | None = None
    data_in_symmetric: Switches | None = None
    data_in_scales: Scales | None = None
    weight_symmetric: Switches | None = None
    weight_scales: Scales | None = None
    weight_per: Parts | None = None
    weight_range: Ranges | None = None
    weight_sparsity: Sparsities | None = None
    bias_symmetric: Switches | None = None
    bias_scales: Scales | None = None


class LayerSeed(Table):
    """``[search.search_space.seed.<layer>]``."""

    config: LayerConfig
