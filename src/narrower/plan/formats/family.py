"""A family of number formats: declared once, and text, reader, checks and documentation follow."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from narrower.errors import SettingsError, nearest
from narrower.plan.formats.fields import FieldKind

if TYPE_CHECKING:
    from narrower.plan.formats.number_format import NumberFormat


@dataclass(frozen=True, eq=False)
class Family:
    """Formats that differ in the values of their fields alone.

    ``kind`` is a frozen dataclass; each of its fields is annotated with a ``FieldKind``. ``names`` are the
    words that the text form may begin with, each with the fields that it settles. ``examples`` are texts with
    what they mean.
    """

    kind: type
    names: Mapping[str, Mapping[str, Any]]
    examples: Mapping[str, str]

    @property
    def name(self) -> str:
        """The first of its names."""
        return next(iter(self.names))

    @cached_property
    def field_kinds(self) -> dict[str, FieldKind]:
        """The fields in order, each with what it may hold."""
        hints = get_type_hints(self.kind, include_extras=True)
        return {f.name: hints[f.name].__metadata__[0] for f in fields(self.kind) if f.init}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The fields that may be left out, with what they are then."""
        return {f.name: f.default for f in fields(self.kind) if f.init and f.default is not MISSING}

    def check(self, number_format: object) -> None:
        """Raise ``SettingsError`` where a field holds what it may not."""
        for name, kind in self.field_kinds.items():
            kind.check(getattr(number_format, name))

    def text(self, number_format: Any) -> str:
        """The text form: a name, then the first field's value, then the others by name."""
        return _text(self, number_format)

    def read(self, name: str, given: Mapping[str, str]) -> "NumberFormat":
        """The format of a name and of texts by field; the first field's may stand at "".

        Raises:
            SettingsError: a field is missing, unknown, or holds what it may not.
        """
        settled = self.names[name]
        open_fields = [field for field in self.field_kinds if field not in settled]
        texts = {(field or open_fields[0]): text for field, text in given.items()} if open_fields else given
        values = dict(settled)
        for field in texts:
            if field not in open_fields:
                raise SettingsError(
                    f"{name} has no field {field!r}{nearest(field, open_fields)}; {self.form(name)}"
                )
        for field in open_fields:
            if field in texts:
                values[field] = self._value(field, texts[field], values)
            elif field not in self.defaults:
                raise SettingsError(f"{field} is missing; {self.form(name)}")
        made: NumberFormat = self.kind(**values)
        return made

    def _value(self, field: str, text: str, before: Mapping[str, Any]) -> Any:
        kind = self.field_kinds[field]
        value = kind.read(text, before)
        if value is None:
            raise SettingsError(f"{field} is {text!r}; allowed: {kind.allowed}")
        return value

    def form(self, name: str) -> str:
        """How the text form under a name is written."""
        examples = [example for example in self.examples if example.split("(", maxsplit=1)[0] == name]
        return f"examples: {', '.join(examples or self.examples)}"


@lru_cache(maxsize=2**14)
def _text(family: Family, number_format: Any) -> str:
    name, settled = max(
        (
            (name, settled)
            for name, settled in family.names.items()
            if all(getattr(number_format, field) == value for field, value in settled.items())
        ),
        key=lambda item: len(item[1]),
    )
    open_fields = [field for field in family.field_kinds if field not in settled]
    parts = []
    for field in open_fields:
        value = getattr(number_format, field)
        if field not in family.defaults or value != family.defaults[field]:
            written = family.field_kinds[field].write(value)
            parts.append(
                written if field == open_fields[0] and field not in family.defaults else f"{field}={written}"
            )
    return f"{name}({','.join(parts)})" if parts else name
