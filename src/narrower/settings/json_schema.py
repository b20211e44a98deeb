"""The schema of settings files as JSON Schema (2020-12), for editors."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from narrower.settings.checks import allowed_by
from narrower.settings.layers import EXTENDS
from narrower.settings.schema import RunSettings


class _OfChecks(GenerateJsonSchema):
    """A value is what its check says that it allows."""

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return dict(allowed_by(schema["function"]["function"]))

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """TOML has no null: what may be missing is missing."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value not in (None, {})}


def settings_schema() -> dict[str, Any]:
    """What a settings file may hold; spellings that only files for MASE/chop have are left out."""
    found: dict[str, Any] = _bare(
        RunSettings.model_json_schema(mode="validation", schema_generator=_OfChecks)
    )
    path = {"type": "string", "minLength": 1}
    found["properties"][EXTENDS] = {
        "description": "files whose values hold where this one says nothing",
        "anyOf": [path, {"type": "array", "items": path}],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "narrower", **found}


def _bare(schema: Any, *, of_names: bool = False) -> Any:
    """Without titles, which repeat the keys, and without what is required: it may stand in a file below."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _bare(value, of_names=key in ("properties", "$defs"))
        for key, value in schema.items()
        if of_names or key not in ("title", "required")
    }
