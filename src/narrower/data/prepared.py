"""How the numbers of a data set were made of raw ones: what whoever runs a model elsewhere has to repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from numpy.typing import NDArray

Kind = Literal["number", "time", "one-hot", "code"]
MOST_SAID = 5  # targets that are said in a line


@dataclass(frozen=True, slots=True)
class Scaling:
    """What was subtracted from values and what they were then divided by, in double precision.

    ``shape`` is that in which the numbers broadcast over a sample.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    shape: tuple[int, ...]

    @staticmethod
    def of(mean: NDArray[Any], deviation: NDArray[Any]) -> "Scaling":
        """Of arrays of one shape."""
        return Scaling(tuple(mean.ravel().tolist()), tuple(deviation.ravel().tolist()), mean.shape)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"mean": list(self.mean), "deviation": list(self.deviation), "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class PreparedFeature:
    """A feature of a table: the column it is made of, and how.

    A "number" is taken as it is, a "time" becomes microseconds since 1970; "one-hot" is 1 where the column
    holds ``category`` and else 0; "code" is the place of the text in ``categories``. ``missing`` is what a
    value that is not there is taken for; None: none was missing.
    """

    name: str
    column: str
    kind: Kind = "number"
    missing: float | str | None = None
    category: str | None = None
    categories: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        held: dict[str, Any] = {"name": self.name, "column": self.column, "kind": self.kind}
        held["missing"] = self.missing
        if self.kind == "one-hot":
            held["category"] = self.category
        if self.kind == "code":
            held["categories"] = list(self.categories)
        return held


@dataclass(frozen=True, slots=True)
class PreparedInput:
    """One argument of a model: the features that it is made of, in their order, and then scaled.

    Without ``scaling`` numbers are what they were.
    """

    name: str = ""
    scaling: Scaling | None = None
    features: tuple[PreparedFeature, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name or None,
            "standardised": None if self.scaling is None else self.scaling.to_dict(),
            "features": [feature.to_dict() for feature in self.features],
        }


@dataclass(frozen=True, slots=True)
class Prepared:
    """How each argument of a model was made, and how the outputs are scaled that it foretells."""

    inputs: tuple[PreparedInput, ...]
    outputs: Scaling | None = None

    def said_of_outputs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """A line on what outputs stand for, where they are scaled."""
        if self.outputs is None:
            return ()
        mean, deviation = self.outputs.mean, self.outputs.deviation
        if len(names) != len(mean):  # one for each channel of what is given back
            return ("outputs are standardised, as the inputs are: 'targets' in the manifest says by what",)
        each = [_undone(*one) for one in zip(names, deviation, mean, strict=True)]
        more = ", ... ('targets' in the manifest has all)" if len(each) > MOST_SAID else ""
        return (f"outputs are standardised: {', '.join(each[:MOST_SAID])}{more}",)


def of_arguments(
    scalings: Sequence[Scaling | None], features: tuple[str, ...] = (), arguments: tuple[str, ...] = ()
) -> Prepared:
    """Arguments of a model as they were scaled, with their names; ``features`` are columns of the first."""
    columns = tuple(PreparedFeature(name, name) for name in features)
    names = arguments or ("",) * len(scalings)
    return Prepared(
        tuple(
            PreparedInput(name, scaling, () if number else columns)
            for number, (name, scaling) in enumerate(zip(names, scalings, strict=True))
        )
    )


def prepared_dict(prepared: Prepared | None) -> dict[str, Any]:
    """The JSON form; None where it is not known how the numbers were made."""
    if prepared is None:
        return {"inputs": None, "targets": None}
    return {
        "inputs": [each.to_dict() for each in prepared.inputs],
        "targets": {"standardised": None if prepared.outputs is None else prepared.outputs.to_dict()},
    }


def giving_back(prepared: Prepared | None) -> Prepared | None:
    """The same where a model foretells its first input, so that outputs are scaled as that is."""
    return None if prepared is None else replace(prepared, outputs=prepared.inputs[0].scaling)


def _undone(name: str, deviation: float, mean: float) -> str:
    sign = "-" if mean < 0 else "+"
    return f"{name} = {deviation:,.6g} x output {sign} {abs(mean):,.6g}"
