"""A stack file as it lies on disk: `stacks/Pulumi.<stack>.yaml`, read the way Pulumi reads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from providers.schema import Failure, InvalidSettings
from stacks.engine import PROJECT, ROOT

TOP = ("config", "secretsprovider", "encryptionsalt", "encryptedkey", "environment")
"""What Pulumi knows at the top of a stack file."""
FOREIGN = ("azure-native", "pulumi")
"""Namespaces below `config:` that are not this project's and have a meaning."""
ENCRYPTED = "secure"
"""Key of the mapping that stands for an encrypted value."""


class _Loader(yaml.SafeLoader):
    """YAML as Pulumi takes it: `2025-12-01` is text, and no key stands twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                earlier = lines[key.value]
                raise yaml.YAMLError(f"{key.value!r} stands twice in one mapping, in lines {earlier} and {line}")
            lines[key.value] = line
        return node


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def stack_files(folder: Path = ROOT / "stacks") -> dict[str, Path]:
    """Stack name -> its file, in order of name."""
    return {path.name.split(".")[1]: path for path in sorted(folder.glob("Pulumi.*.yaml"))}


def document(path: Path) -> dict[str, Any]:
    """The whole file. Raises InvalidSettings: it is no YAML, or something at its top is not Pulumi's."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader with less
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSettings([Failure(path.name, " ".join(str(error).split()))]) from error
    if not isinstance(found, dict):
        raise InvalidSettings([Failure(path.name, "must be a mapping with `config:`")])
    failures = [
        Failure(str(key), f"is nothing that a stack file may have; known: {', '.join(TOP)}")
        for key in found
        if key not in TOP
    ]
    config = found.get("config", {})
    if not isinstance(config, Mapping):
        failures.append(Failure("config", "must be a mapping of names to values"))
    else:
        failures += [failure for key in config if (failure := _foreign(str(key)))]
    if failures:
        raise InvalidSettings(failures)
    return found


def configuration(found: Mapping[str, Any]) -> dict[str, str]:
    """Pulumi's configuration of a file's document: full key -> text, which for structures is JSON.

    An encrypted value is what it is, a text that nobody here can read.
    """
    return {str(key): _text(_readable(value)) for key, value in found.get("config", {}).items()}


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {ENCRYPTED}:
            return str(value[ENCRYPTED])
        return {str(key): _readable(each) for key, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _foreign(key: str) -> Failure | None:
    if key.partition(":")[0] in (PROJECT, *FOREIGN) and ":" in key:
        return None
    return Failure(key, f"is no setting of this project: its settings read {PROJECT}:<name>")
