"""What every table of the settings file has in common, and values that several tables hold."""

from math import isfinite
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator

from narrower.settings import checks

Count = Annotated[int, PlainValidator(checks.whole_number(1, checks.LARGEST_COUNT))]
CountOrNone = Annotated[int, PlainValidator(checks.whole_number(0, checks.LARGEST_COUNT))]
BatchSize = Annotated[int, PlainValidator(checks.whole_number(2, checks.LARGEST_COUNT))]
Text = Annotated[str, PlainValidator(checks.text)]
Switch = Annotated[bool, PlainValidator(checks.yes_or_no)]
Positive = Annotated[
    float, PlainValidator(checks.number("a number above 0", lambda x: isfinite(x) and x > 0))
]
NotNegative = Annotated[
    float, PlainValidator(checks.number("a number from 0", lambda x: isfinite(x) and x >= 0))
]
Share = Annotated[float, PlainValidator(checks.number("a number from 0 to 1", lambda x: 0 <= x <= 1))]
BelowOne = Annotated[float, PlainValidator(checks.number("a number from 0, below 1", lambda x: 0 <= x < 1))]
OpenShare = Annotated[float, PlainValidator(checks.number("a number above 0, below 1", lambda x: 0 < x < 1))]


class Table(BaseModel):
    """A table of the file: frozen, and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def given_keys(table: Table) -> list[str]:
    """The keys of a table that do not have their default; resolved files hold the others as well."""
    return [
        field.alias or name
        for name, field in type(table).model_fields.items()
        if getattr(table, name) != field.default
    ]
