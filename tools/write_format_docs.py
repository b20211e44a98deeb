"""Write the table of docs/formats.md from the declared families of number formats.

python tools/write_format_docs.py
"""

from pathlib import Path

from narrower.export.formats.catalogue import refusal
from narrower.export.formats.expression import ARTEFACTS
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.family import Family
from narrower.plan.formats.text import parse_format

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
START, END = "<!-- generated: make docs -->\n", "<!-- end -->"
FIELDS = "\n| name | fields |\n| --- | --- |\n"


def table() -> str:
    """All families: what texts mean, where they can be expressed, and what their fields may be."""
    head = ["text", "what it is", "bits", *ARTEFACTS]
    rows = [_line(head), _line(["---"] * len(head))]
    rows += [_line(_example(*example)) for family in FAMILIES for example in family.examples.items()]
    fields = [_line([_names(family), _fields(family)]) for family in FAMILIES if family.field_kinds]
    return "".join(rows) + FIELDS + "".join(fields)


def page(text: str) -> str:
    """The page with its table written anew."""
    before, rest = text.split(START)
    return f"{before}{START}{table()}{END}{rest.split(END)[1]}"


def _example(text: str, meaning: str) -> list[str]:
    number_format = parse_format(text)
    can = ["–" if refusal(number_format, artefact) else "yes" for artefact in ARTEFACTS]
    return [f"`{text}`", meaning, f"{number_format.bits:g}", *can]


def _names(family: Family) -> str:
    return ", ".join(f"`{name}`" for name in family.names)


def _fields(family: Family) -> str:
    parts = []
    for name, kind in family.field_kinds.items():
        words = "".join(f", {word}" for word in getattr(kind, "words", ()) if word not in kind.allowed)
        default = f" ({kind.write(family.defaults[name])} unless given)" if name in family.defaults else ""
        parts.append(f"`{name}`: {kind.allowed}{words}{default}")
    return "; ".join(parts)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
