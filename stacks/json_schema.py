"""stacks/schema.json, from the declarations: `python -m stacks.json_schema > stacks/schema.json`.

Editors complete and check stack files by it (the first line of each names it); `python -m stacks check` checks more.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any, cast, get_args, get_origin

from providers import schema
from providers.schema import Property
from stacks.engine import PROJECT
from stacks.settings import Settings
from stacks.stack_file import ENCRYPTED, FOREIGN, TOP

_SCALARS = {str: "string", int: "integer", bool: "boolean", float: "number"}
_ENCRYPTED = {
    "type": "object",
    "properties": {ENCRYPTED: {"type": "string"}},
    "required": [ENCRYPTED],
    "additionalProperties": False,
    "description": "Encrypted by `pulumi config set --secret`.",
}
_MAY_BE_ENCRYPTED = "environment_variables"
_ONE_OR_SEVERAL = (("compute", "computes"), ("deployments", "endpoints"))
"""Settings one of which is required (stacks/normal_form.py)."""
_Definitions = dict[str, dict[str, Any]]
"""Name of a dataclass -> its schema: settings that stand in several places are described once."""


def json_schema() -> dict[str, Any]:
    """The schema of a whole stack file."""
    definitions: _Definitions = {}
    settings = _object(Settings, definitions)
    config = {
        "type": "object",
        "properties": {f"{PROJECT}:{name}": _whole(each) for name, each in settings["properties"].items()},
        "required": [f"{PROJECT}:{name}" for name in settings["required"]],
        "allOf": [
            {"oneOf": [{"required": [f"{PROJECT}:{name}"]} for name in alternatives]}
            for alternatives in _ONE_OR_SEVERAL
        ],
        "patternProperties": {f"^({'|'.join(FOREIGN)}):": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"A stack of {PROJECT}",
        "type": "object",
        "properties": {name: config if name == "config" else {} for name in TOP},
        "required": ["config"],
        "additionalProperties": False,
        "definitions": dict(sorted(definitions.items())),
    }


def _whole(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting of its own, which Pulumi hands over as text whatever YAML makes of it: `workspace: 42` is a name."""
    plain = setting.get("type") == "string" and "enum" not in setting
    return {**setting, "type": ["string", "number"]} if plain else setting


def text() -> str:
    """The file's content."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(kind: type, definitions: _Definitions) -> dict[str, Any]:
    declared = schema.properties(kind)
    return {
        "type": "object",
        "properties": {name: _property(each, definitions) for name, each in declared.items()},
        "required": [name for name, each in declared.items() if each.required],
        "additionalProperties": False,
    }


def _property(each: Property, definitions: _Definitions) -> dict[str, Any]:
    type_ = _type(each.type, definitions)
    # Beside a reference nothing else counts, by the draft.
    found = {"description": each.doc, **({"allOf": [type_]} if "$ref" in type_ else type_)}
    if each.choices:
        # `check` takes any letter case; editors offer the service's spelling.
        found["enum"] = list(each.choices)
    if each.name == _MAY_BE_ENCRYPTED:
        found["additionalProperties"] = {"anyOf": [found["additionalProperties"], _ENCRYPTED]}
    if not each.required and isinstance(each.default, str | int | float):
        found["default"] = each.default
    return found


def _type(kind: Any, definitions: _Definitions) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        name = cast(type, kind).__name__
        if name not in definitions:
            definitions[name] = _object(cast(type, kind), definitions)
        return {"$ref": f"#/definitions/{name}"}
    origin = get_origin(kind)
    if origin is None:
        return {"type": _SCALARS[kind]} if kind in _SCALARS else {}
    member = _type(get_args(kind)[-1], definitions)
    if issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": member}
    return {"type": "array", "items": member}


if __name__ == "__main__":
    sys.stdout.write(text())
