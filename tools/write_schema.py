"""Write docs/settings.schema.json, with which editors complete settings files.

python tools/write_schema.py
"""

import json
from pathlib import Path

from narrower.settings.json_schema import settings_schema

FILE = Path(__file__).parents[1] / "docs" / "settings.schema.json"


def text() -> str:
    """The whole file."""
    return json.dumps(settings_schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
