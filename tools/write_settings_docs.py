"""Write docs/reference/settings.md: every key of a settings file, from the JSON Schema.

python tools/write_settings_docs.py
"""

from pathlib import Path
from typing import Any

from narrower.settings.json_schema import settings_schema

FILE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
HEAD = """# Keys of settings

Every table and key of a settings file, from the schema that `narrower schema` prints. How files stand over
one another is in [settings files](../settings.md). This page is written by `tools/write_settings_docs.py`.
"""


def text() -> str:
    """The whole page."""
    schema = settings_schema()
    tables = [("Top of the file", schema), *schema["$defs"].items()]
    return HEAD + "".join(_table(name, table) for name, table in tables if table.get("properties"))


def _table(name: str, table: dict[str, Any]) -> str:
    said = str(table.get("description", "")).replace("``", "`").split("\n\n")[0].replace("\n", " ")
    title = said.split("`")[1] if said.startswith("`[") else name
    rows = [
        f"| `{key}` | {_holds(value)} | {_default(value)} |" for key, value in table["properties"].items()
    ]
    head = [
        "",
        f"## {title}",
        "",
        *([said, ""] if said else []),
        "| key | holds | unless given |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _holds(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return f"table {value['$ref'].rpartition('/')[2]}"
    if "anyOf" in value:
        parts = [_holds(part) for part in value["anyOf"] if part.get("type") != "null"]
        named = [part for part in parts if "`" in part]
        return " or ".join(dict.fromkeys(named if named and len(parts) > len(named) else parts))
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "description" in value and value.get("type") != "object":
        return str(value["description"])
    kind = value.get("type", "anything")
    if kind == "array":
        return f"list of {_holds(value['items'])}" if value.get("items") else "list"
    ends = [
        f"from {value['minimum']}" if "minimum" in value else "",
        f"to {value['maximum']:,}" if "maximum" in value else "",
    ]
    return " ".join([str(kind) if isinstance(kind, str) else " or ".join(kind), *filter(None, ends)])


def _default(value: dict[str, Any]) -> str:
    if "default" not in value or isinstance(value["default"], dict):
        return ""
    return f"`{value['default']}`".lower() if isinstance(value["default"], bool) else f"`{value['default']}`"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
