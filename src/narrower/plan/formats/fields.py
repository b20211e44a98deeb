"""What a field of a number format may hold, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from narrower.errors import SettingsError

Given = Mapping[str, Any]  # the fields before this one


@runtime_checkable
class FieldKind(Protocol):
    """Checks, reads and writes the values of one field."""

    @property
    def allowed(self) -> str:
        """The values in words."""

    def check(self, value: Any, /) -> None:
        """Raise ``SettingsError`` for a value that is not allowed."""

    def read(self, text: str, given: Given, /) -> Any:
        """The value of a text; None where it is none."""

    def write(self, value: Any, /) -> str:
        """The text of a value, which ``read`` reads back."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of a range; ``words`` stand for numbers that follow from the fields before."""

    name: str  # "a fixed-point width"
    low: int
    high: int
    words: Mapping[str, Callable[[Given], int]] = field(default_factory=dict)
    unit: str = " bits"

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}"

    def check(self, value: Any, /) -> None:
        if not self.low <= value <= self.high:
            raise SettingsError(f"{self.name} is {self.allowed}{self.unit}, not {value}")

    def read(self, text: str, given: Given) -> int | None:
        if text in self.words:
            return self.words[text](given)
        try:
            return int(text)
        except ValueError:
            return None

    def write(self, value: Any, /) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Wholes:
    """Whole numbers of a range, at least one; as text one after the other: 5_6_-1."""

    name: str
    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}, several joined by _"

    def check(self, value: Any, /) -> None:
        if not value or not all(self.low <= one <= self.high for one in value):
            raise SettingsError(f"{self.name} is {self.low} to {self.high}, not {self.write(value)}")

    def read(self, text: str, _given: Given) -> tuple[int, ...] | None:
        try:
            return tuple(int(one) for one in text.split("_"))
        except ValueError:
            return None

    def write(self, value: Any, /) -> str:
        return "_".join(map(str, value))


@dataclass(frozen=True, slots=True)
class Positive:
    """A number above 0 up to a limit, or a word that stands for ``meaning``."""

    name: str
    high: float
    word: str
    meaning: float

    @property
    def allowed(self) -> str:
        return f"{self.word}, a number from {1 / self.high:.1e} to {self.high:.1e}"

    def check(self, value: Any, /) -> None:
        if value != self.meaning and not 1 / self.high <= value <= self.high:
            raise SettingsError(f"{self.name} is one of {self.allowed}, not {value}")

    def read(self, text: str, _given: Given) -> float | None:
        if text == self.word:
            return self.meaning
        try:
            return float(text)
        except ValueError:
            return None

    def write(self, value: Any, /) -> str:
        return self.word if value == self.meaning else repr(value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of several words."""

    name: str
    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join(self.words)

    def check(self, value: Any, /) -> None:
        if value not in self.words:
            raise SettingsError(f"{self.name} is one of {self.allowed}, not {value!r}")

    def read(self, text: str, _given: Given) -> str | None:
        return text

    def write(self, value: Any, /) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    name: str

    @property
    def allowed(self) -> str:
        return "true, false"

    def check(self, value: Any, /) -> None:
        if not isinstance(value, bool):
            raise SettingsError(f"{self.name} is true or false, not {value!r}")

    def read(self, text: str, _given: Given) -> bool | None:
        return {"true": True, "false": False}.get(text.lower())

    def write(self, value: Any, /) -> str:
        return str(value).lower()
