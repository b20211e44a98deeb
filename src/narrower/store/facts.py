"""What a run records of itself beside its trials, by name, and which form each fact has."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Count = Annotated[int, Field(ge=1, le=2**31)]
Texts = Annotated[list[str], Field(min_length=1)]
MemberFile = Annotated[str, Field(pattern=r"^models/trial-\d+\.safetensors$")]


class Environment(BaseModel):
    """With what the run was made."""

    python: str | None = None
    platform: str | None = None
    versions: dict[str, str | None] | None = None
    git: str | None = None
    created: str | None = None


class OperandTexts(BaseModel):
    """The texts of each operand's formats."""

    model_config = ConfigDict(extra="forbid")

    data: Texts
    weight: Texts
    bias: Texts


class LayerFormats(BaseModel):
    """The options of a layer that has too many of them to list: the formats of each name."""

    model_config = ConfigDict(extra="forbid")

    layer: str
    formats: Annotated[list[OperandTexts], Field(min_length=1)]


# What is not named here may have any form.
FORMS: dict[str, Any] = {
    "schema": int,
    "metrics": list[str],
    "model": str,
    "space": str,
    "space slots": list[list[dict[str, dict[str, str | float]]] | LayerFormats],
    "model weights": str,
    "data set": str,
    "samples": str,
    "sample count": Count,
    "retraining": str,
    "batch size": Count,
    "threads": Annotated[int, Field(ge=1, le=4096)],
    "proposals at a time": Count,
    "environment": Environment,
    "settings file": str,
    "weights file": str,
    "member files": dict[MemberFile, str],
}


def check_facts(facts: Mapping[str, object]) -> None:
    """Check the form of what is recorded.

    Raises:
        ValueError: naming the first fact that has another one.
    """
    for name in FORMS:
        if name in facts:
            try:
                _adapter(name).validate_python(facts[name], strict=True)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(map(str, (name, *first["loc"])))
                raise ValueError(f"{where}: {first['msg']}") from error


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(FORMS[name])
