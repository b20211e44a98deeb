"""A figure of the report as an object of Plotly's Python library, in the colours of the light theme."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go

from narrower.report.page import Figure

_COLOUR = re.compile(r"var\(--([\w-]+)\)")


def as_plotly(figure: Figure) -> go.Figure:
    """The same traces and layout; the texts of points written out."""
    traces = [_with_texts(dict(trace)) for trace in figure.traces]
    layout = {"template": "plotly_white", "height": figure.height, "title": {"text": figure.label}}
    return go.Figure(_coloured(traces), _coloured(layout | dict(figure.layout)))


def _with_texts(trace: dict[str, Any]) -> dict[str, Any]:
    codes = trace.pop("text_codes", None)
    if codes is not None:
        trace["text"] = [
            "<br>".join(words[option] for words, option in zip(codes["words"], row, strict=True))
            for row in codes["rows"]
        ]
    return trace


def _coloured(value: Any) -> Any:
    if isinstance(value, str):
        return _COLOUR.sub(lambda found: _colours()[found[1]], value)
    if isinstance(value, dict):
        return {key: _coloured(part) for key, part in value.items()}
    return [_coloured(part) for part in value] if isinstance(value, list | tuple) else value


@cache
def _colours() -> dict[str, str]:
    """The colours of the page by name; the light theme's come first."""
    css = (files("narrower.report") / "page.css").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for name, colour in re.findall(r"--([\w-]+): (#\w+);", css):
        found.setdefault(name, colour)
    return found
