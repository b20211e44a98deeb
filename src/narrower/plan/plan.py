"""A plan: for each layer, its number formats and its width."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

from narrower.errors import SettingsError, nearest
from narrower.plan.formats.float32 import FLOAT32
from narrower.plan.formats.number_format import NumberFormat
from narrower.plan.formats.text import parse_format


@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """How one layer is compressed. Equal plans are equal values; the hash is computed once.

    ``data``, ``weight`` and ``bias`` are what its product reads, rounded there. ``output`` is what it writes,
    after the batch norm and ReLU that belong to it: a tensor that is rounded once for all that read it
    (``graph/edges.py``). Inputs and operators without a product have nothing else.
    """

    data: NumberFormat = FLOAT32
    weight: NumberFormat = FLOAT32
    bias: NumberFormat = FLOAT32
    width: float = 1.0  # multiplier of the output channels; above 1 grows the layer
    output: NumberFormat = FLOAT32
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self._key))

    @property
    def _key(self) -> tuple[NumberFormat, NumberFormat, NumberFormat, float, NumberFormat]:
        return self.data, self.weight, self.bias, self.width, self.output

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type["LayerPlan"], tuple[object, ...]]:
        return LayerPlan, self._key  # each process has hashes of its own

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, LayerPlan):
            return NotImplemented
        return self._key == other._key

    @property
    def is_quantized(self) -> bool:
        """Whether any operand of the layer, or what it writes, has a format other than float32."""
        return any(getattr(self, part) != FLOAT32 for part in ROUNDED)


OPERANDS = ("data", "weight", "bias")  # of a product
OUTPUT = "output"
ROUNDED = (*OPERANDS, OUTPUT)
UNCHANGED = LayerPlan()


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
        return Plan.of((name, replace(plan, width=1.0)) for name, plan in self.layers)

    @property
    def outputs(self) -> dict[str, NumberFormat]:
        """The formats of edges, by their names."""
        return {name: plan.output for name, plan in self.layers if plan.output != FLOAT32}


def plan_to_dict(plan: Plan) -> dict[str, dict[str, str | float]]:
    """The TOML form: for each layer a table with ``data``, ``weight``, ``bias``, ``output``, ``width``."""
    tables: dict[str, dict[str, str | float]] = {}
    for name, layer in plan.layers:
        table: dict[str, str | float] = {
            operand: getattr(layer, operand).text for operand in ROUNDED if getattr(layer, operand) != FLOAT32
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
    for operand in ROUNDED:
        text = table.get(operand, FLOAT32.text)
        if not isinstance(text, str):
            raise SettingsError(
                f"plan.{name}.{operand}: expected text such as 'fixed(8,frac=4)', found {text!r}"
            )
        formats[operand] = known[text] if text in known else parse_format(text)
        if operand in ("data", OUTPUT) and getattr(formats[operand], "needs_all_samples", False):
            raise SettingsError(
                f"plan.{name}.{operand}: found {text!r}, whose scale follows from all samples together; data "
                "need a scale that is given"
            )
    width = table.get("width", 1.0)
    if isinstance(width, bool) or not isinstance(width, int | float) or not width > 0:
        raise SettingsError(f"plan.{name}.width: expected a number above 0, found {width!r}")
    return LayerPlan(**formats, width=float(width))
