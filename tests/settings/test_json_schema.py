"""The JSON Schema of settings files admits what the program admits, as far as it can say it."""

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from narrower.settings.json_schema import settings_schema
from tests.settings.test_load import VALID

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(settings_schema())


def complaints(tables: dict[str, Any]) -> list[str]:
    return [".".join(map(str, error.path)) for error in VALIDATOR.iter_errors(tables)]


def test_it_is_a_schema_and_the_file_in_docs_is_it() -> None:
    Draft202012Validator.check_schema(settings_schema())
    tool = runpy.run_path(str(ROOT / "tools" / "write_schema.py"))
    written = (ROOT / "docs" / "settings.schema.json").read_text(encoding="utf-8")
    assert tool["text"]() == written, "the settings have changed: run `make docs`"


def test_the_page_of_keys_is_written_from_it() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "write_settings_docs.py"))
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert tool["text"]() == page, "the settings have changed: run `make docs`"
    keys = [
        key
        for table in [settings_schema(), *settings_schema()["$defs"].values()]
        for key in table.get("properties", {})
    ]
    assert all(f"| `{key}` |" in page for key in keys)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_files_name_it_and_follow_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#:schema ../docs/settings.schema.json\n")
    assert complaints(tomllib.loads(text)) == []


def test_every_key_says_what_it_holds() -> None:
    tables = [settings_schema(), *settings_schema()["$defs"].values()]
    silent = [key for table in tables for key, what in table.get("properties", {}).items() if not what]
    assert silent == []


def test_a_file_may_hold_only_what_differs_from_those_that_it_extends() -> None:
    assert complaints({"extends": "base.toml", "search": {"strategy": {"setup": {"n_trials": 5}}}}) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('model = "jsc-toy"', "model = 3", "model"),
        ("seed = ", "seed = -", "seed"),
        ("n_jobs = 1", "n_job = 1", "search.strategy.setup"),
        ("weight_width = [", 'weight_width = ["four", ', "weight_width.0"),
        (
            "sum_scaled_metrics = false",
            'sum_scaled_metrics = "no"',
            "search.strategy.setup.sum_scaled_metrics",
        ),
    ],
)
def test_it_complains_of_what_the_program_refuses(old: str, new: str, place: str) -> None:
    assert complaints(tomllib.loads(VALID)) == []
    assert old in VALID
    found = complaints(tomllib.loads(VALID.replace(old, new, 1)))
    assert len(found) == 1
    assert found[0].endswith(place)
