import json
import re
from html.parser import HTMLParser

import pytest

from narrower.report.page import Figure, Fold, Page, Section, Table, render_page

EVIL = "<script>alert(1)</script>&\"'"


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.text.append(data)


def parsed(page: Page) -> Elements:
    elements = Elements()
    elements.feed(render_page(page))
    return elements


def page_of(*sections: Section, text: str = "plain") -> Page:
    return Page(text, text, text, (text,), ((text, text),), sections, (text,), text)


FIGURE = Figure(
    "points", ({"type": "scatter", "x": [1, 2], "y": [3, 4], "text": [EVIL, EVIL]},), {"title": EVIL}, 300
)


def test_user_strings_appear_as_text_everywhere() -> None:
    section = Section(
        EVIL, (EVIL,), (FIGURE,), (Table((EVIL,), ((EVIL,),), (False,), caption=EVIL),), (Fold(EVIL, EVIL),)
    )
    found = parsed(page_of(section, text=EVIL))
    harmless = parsed(page_of(Section("s", ("p",), (FIGURE,), (Table(("c",), (("v",),), (False,)),))))
    assert sum(tag == "script" for tag, _ in found.tags) == sum(tag == "script" for tag, _ in harmless.tags)
    assert "".join(found.text).count(EVIL) >= 10


def test_the_page_refers_to_nothing_outside_of_it() -> None:
    for tag, attributes in parsed(page_of(Section("s", (), (FIGURE,)))).tags:
        assert "src" not in attributes, tag
        assert attributes.get("href") in (None, "data:,"), tag


def test_figures_are_embedded_as_json_that_cannot_end_its_element() -> None:
    text = render_page(page_of(Section("s", (), (FIGURE, FIGURE))))
    embedded = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    figures = json.loads(embedded[0])
    assert [figure["layout"]["title"] for figure in figures] == [EVIL, EVIL]
    assert figures[0]["height"] == 300


def test_each_figure_has_its_own_place() -> None:
    sections = (Section("a", (), (FIGURE, FIGURE)), Section("b", (), (FIGURE,)))
    places = [attributes.get("data-figure") for _, attributes in parsed(page_of(*sections)).tags]
    assert [place for place in places if place is not None] == ["0", "1", "2"]


def test_a_page_without_figures_leaves_plotly_out() -> None:
    assert len(render_page(page_of(Section("s", ("p",))))) < 50_000


def test_nan_is_refused() -> None:
    figure = Figure("nan", ({"y": [float("nan")]},), {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_page(page_of(Section("s", (), (figure,))))
