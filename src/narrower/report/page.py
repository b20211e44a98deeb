"""A self-contained HTML page of text, tables and interactive plots; knows nothing of what they show."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

PACKAGE = files("narrower.report")


@dataclass(frozen=True, slots=True)
class Figure:
    """A Plotly figure: traces and layout as plain values, ``height`` in pixels, ``label`` for screen readers.

    Colours may be written as ``var(--name)`` with a name of ``page.css``: the page puts in those of the light
    or the dark theme. A trace may have ``text_codes``, ``{"words": [[...], ...], "rows": [[...], ...]}``: the
    text of point i is then the words that row i picks, one from each list, line by line.
    """

    label: str
    traces: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any]
    height: int = 420

    @property
    def value(self) -> dict[str, Any]:
        """The JSON form."""
        return {"data": list(self.traces), "layout": dict(self.layout), "height": self.height}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; columns of numbers are right-aligned; rows in ``marked`` stand out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    marked: frozenset[int] = frozenset()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Fold:
    """Text to unfold, spelled as it is."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """Paragraphs, then figures (side by side where there is room), then tables, then what is folded."""

    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    folds: tuple[Fold, ...] = ()
    pictures: tuple[Markup, ...] = ()  # SVG, whose texts are escaped


@dataclass(frozen=True, slots=True)
class Page:
    """``headline`` and ``sentences`` say what to do and why; ``facts`` are names with values."""

    title: str
    subtitle: str
    headline: str
    sentences: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    footer: str = ""


def render_page(page: Page) -> str:
    """The page as one HTML text that needs no other file and no network. All strings are escaped."""
    figures = [figure.value for section in page.sections for figure in section.figures]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_unbroken
    )
    return environment.from_string(_part("page.html.jinja")).render(
        page=page,
        style=Markup(_part("page.css")),
        script=Markup(_part("page.js")),
        plotly=Markup(_plotly()) if figures else "",
        figures=Markup(_embedded_json(figures)),
    )


def plot_text(text: str) -> str:
    """User text for a plot: Plotly reads some HTML tags in its labels."""
    return html.escape(text, quote=False)


def plot_texts(texts: Sequence[str]) -> list[str]:
    return [plot_text(text) for text in texts]


def rounded(values: Sequence[float]) -> list[float | None]:
    """Six significant digits; what is not known becomes a gap."""
    return [float(f"{value:.6g}") if value == value else None for value in values]  # noqa: PLR0124 - NaN


def _unbroken(value: object) -> object:
    """Text in which no line ends between a number and its percent sign."""
    return value.replace(" %", "\u00a0%") if type(value) is str else value


def _embedded_json(value: object) -> str:
    """JSON that cannot end the script element that it stands in; NaN is refused."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def _part(name: str) -> str:
    return PACKAGE.joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
