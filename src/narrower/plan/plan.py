"""A plan: for each layer, its number formats and its width."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from narrower.errors import SettingsError, nearest
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.text import parse_format


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """How one layer is compressed. Equal plans are equal values; the hash is computed once."""

    data: NumberFormat = FLOAT32
    weight: NumberFormat = FLOAT32
    bias: NumberFormat = FLOAT32
    width: float = 1.0  # multiplier of the output channels; above 1 grows the layer
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.data, self.weight, self.bias, self.width)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type["LayerPlan"], tuple[object, ...]]:
        return LayerPlan, (
            self.data,
            self.weight,
            self.bias,
            self.width,
        )  # each process has hashes of its own

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, LayerPlan):
            return NotImplemented
        return (self.data, self.weight, self.bias, self.width) == (
            other.data,
            other.weight,
            other.bias,
            other.width,
        )

    @property
    def is_quantized(self) -> bool:
        """Whether any operand of the layer has a format other than float32."""
        return (self.data, self.weight, self.bias) != (FLOAT32, FLOAT32, FLOAT32)


UNCHANGED = LayerPlan()
OPERANDS = ("data", "weight", "bias")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Layers and their plans, by layer name; a layer that is not named stays as it is."""

    layers: tuple[tuple[str, LayerPlan], ...] = ()
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.layers))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type["Plan"], tuple[object, ...]]:
        return Plan, (self.layers,)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return self.layers == other.layers if isinstance(other, Plan) else NotImplemented

    @classmethod
    def of(cls, layers: Mapping[str, LayerPlan] | Iterable[tuple[str, LayerPlan]]) -> "Plan":
        """Build the canonical plan: sorted by layer name, without layers that stay as they are."""
        items = layers.items() if isinstance(layers, Mapping) else layers
        return cls(tuple(sorted((name, plan) for name, plan in items if plan != UNCHANGED)))

    def layer(self, name: str) -> LayerPlan:
        """The plan of one layer."""
        return next((plan for layer, plan in self.layers if layer == name), UNCHANGED)

    @property
    def widths(self) -> dict[str, float]:
        """Width multipliers that are not 1, by layer name."""
        return {name: plan.width for name, plan in self.layers if plan.width != 1.0}

    @property
    def formats(self) -> "Plan":
        """The same plan with every width 1; this one where they all are."""
        if not self.widths:
            return self
        return Plan.of((name, LayerPlan(plan.data, plan.weight, plan.bias)) for name, plan in self.layers)


def plan_to_dict(plan: Plan) -> dict[str, dict[str, str | float]]:
    """The TOML form: a table for each layer with ``data``, ``weight``, ``bias`` and ``width``."""
    tables: dict[str, dict[str, str | float]] = {}
    for name, layer in plan.layers:
        table: dict[str, str | float] = {
            operand: getattr(layer, operand).text
            for operand in OPERANDS
            if getattr(layer, operand) != FLOAT32
        }
        if layer.width != 1.0:
            table["width"] = layer.width
        tables[name] = table
    return tables


def plan_from_dict(
    tables: Mapping[str, object], known: Mapping[str, NumberFormat] = MappingProxyType({})
) -> Plan:
    """Read the TOML form; ``known`` holds formats whose text does not say all, by that text.

    Raises:
        SettingsError: a table is no layer plan.
    """
    return Plan.of((name, _layer_from_dict(name, table, known)) for name, table in tables.items())


def _layer_from_dict(name: str, table: object, known: Mapping[str, NumberFormat]) -> LayerPlan:
    if not isinstance(table, Mapping):
        raise SettingsError(
            f"plan.{name}: expected a table such as {{weight = 'fixed(8,frac=4)'}}, found {table!r}"
        )
    allowed = [f.name for f in fields(LayerPlan) if f.init]
    for key in table:
        if key not in allowed:
            raise SettingsError(
                f"plan.{name}: unknown key {key!r}{nearest(str(key), allowed)}; allowed: {', '.join(allowed)}"
            )
    formats = {}
    for operand in OPERANDS:
        text = table.get(operand, FLOAT32.text)
        if not isinstance(text, str):
            raise SettingsError(
                f"plan.{name}.{operand}: expected text such as 'fixed(8,frac=4)', found {text!r}"
            )
        formats[operand] = known[text] if text in known else parse_format(text)
        if operand == "data" and getattr(formats[operand], "needs_all_samples", False):
            raise SettingsError(
                f"plan.{name}.data: found {text!r}, whose scale follows from all samples together; data need "
                "a scale that is given"
            )
    width = table.get("width", 1.0)
    if isinstance(width, bool) or not isinstance(width, int | float) or not width > 0:
        raise SettingsError(f"plan.{name}.width: expected a number above 0, found {width!r}")
    return LayerPlan(**formats, width=float(width))
