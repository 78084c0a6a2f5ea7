"""The Pulumi project around the working directory, and one stack's configuration, as the CLI reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import identity
from lab.engine.backend import write_atomically
from lab.engine.errors import BadUsage, Refused
from lab.engine.passphrase import Passphrase

_KNOWN = {
    "name",
    "description",
    "runtime",
    "main",
    "stackConfigDir",
    "config",
    "author",
    "website",
    "license",
    "backend",
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: no dates, no base-60 numbers, and yes/no are words."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise BadUsage(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise BadUsage(f"{path}: not valid YAML: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise BadUsage(f"{path}: must be a mapping")
    return content or {}


@dataclass(frozen=True)
class Project:
    """Pulumi.yaml. `runtime.options` is ignored: the running interpreter is used."""

    directory: Path
    name: str
    program: Path
    settings: Mapping[str, Any]

    @classmethod
    def find(cls, directory: Path) -> Project:
        path = directory / "Pulumi.yaml"
        if not path.exists():
            raise BadUsage(f"no Pulumi.yaml in {directory}: run this in a Pulumi project's directory")
        settings = _read(path)
        unknown = sorted(settings.keys() - _KNOWN)
        if unknown:
            raise Refused(f"{path.name}: {', '.join(unknown)}: not supported by the embedded engine")
        runtime = settings.get("runtime")
        runtime = runtime.get("name") if isinstance(runtime, dict) else runtime
        if runtime != "python":
            raise Refused(f"{path.name}: runtime {runtime!r} is not supported by the embedded engine, only python")
        if not isinstance(settings.get("name"), str):
            raise BadUsage(f"{path.name}: name is missing")
        return cls(directory, settings["name"], directory / str(settings.get("main", ".")), settings)

    def stack_file(self, stack: str) -> Path:
        return self.directory / str(self.settings.get("stackConfigDir", ".")) / f"Pulumi.{stack}.yaml"


@dataclass(frozen=True)
class Config:
    """A stack's configuration: full keys; values as the strings that programs get; which of them are secret."""

    values: Mapping[str, str]
    secret_keys: frozenset[str]

    def of_package(self, package: str) -> dict[str, tuple[str, bool]]:
        """Provider inputs of a package: key -> (value, secret). Dynamic providers get everything, with full keys."""
        chosen = {}
        for key, value in self.values.items():
            namespace, _, name = key.partition(":")
            if package == "pulumi-python":
                chosen[key] = (value, key in self.secret_keys)
            elif namespace == package:
                chosen[name] = (value, key in self.secret_keys)
        return chosen

    def for_display(self) -> dict[str, str]:
        return {key: "[secret]" if key in self.secret_keys else value for key, value in sorted(self.values.items())}


def encryption_salt(path: Path) -> str | None:
    return _read(path).get("encryptionsalt") if path.exists() else None


def keep_salt(path: Path, salt: str) -> None:
    """Add the salt to a settings file; its comments stay, unless it is written in braces."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):
        write_atomically(path, yaml.safe_dump({**_read(path), "encryptionsalt": salt}, sort_keys=False))
    else:
        write_atomically(path, f"{text.rstrip()}\nencryptionsalt: {salt}\n")


def load_config(project: Project, path: Path, secrets: Passphrase | None) -> Config:
    """Read a stack's settings over the project's defaults. `secrets` decrypts; None is for files without secrets."""
    content = _read(path) if path.exists() else {}
    for key in ("environment", "secretsprovider", "encryptedkey"):
        if content.get(key) and content[key] != "passphrase":
            raise Refused(f"{path.name}: {key} is not supported by the embedded engine (passphrase secrets only)")
    values: dict[str, str] = {}
    secret_keys = set()
    for key, raw in {**dict(_defaults(project)), **(content.get("config") or {})}.items():
        full = _full_key(key, project.name, path)
        value, secret = _decrypted(raw, secrets, full)
        values[full] = value if isinstance(value, str) else _text(value)
        if secret:
            secret_keys.add(full)
    return Config(dict(sorted(values.items())), frozenset(secret_keys))


def _defaults(project: Project) -> Iterator[tuple[str, Any]]:
    for key, declared in (project.settings.get("config") or {}).items():
        if not isinstance(declared, dict):
            yield _full_key(key, project.name, Path("Pulumi.yaml")), declared
        elif "value" in declared or "default" in declared:
            yield _full_key(key, project.name, Path("Pulumi.yaml")), declared.get("value", declared.get("default"))


def _full_key(key: str, project: str, path: Path) -> str:
    parts = str(key).split(":")
    if len(parts) == 3 and parts[1] == "config":
        return f"{parts[0]}:{parts[2]}"
    if len(parts) > 2:
        raise BadUsage(f"{path.name}: config key {key!r}: must be NAME or NAMESPACE:NAME")
    return str(key) if len(parts) == 2 else f"{project}:{key}"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=isinstance(value, dict), ensure_ascii=False)


def _decrypted(raw: Any, secrets: Passphrase | None, key: str) -> tuple[Any, bool]:
    if isinstance(raw, dict) and raw.keys() == {"secure"}:
        if secrets is None:
            raise BadUsage(f"{key}: is encrypted, but the settings file has no encryptionsalt")
        return secrets.decrypt(raw["secure"]), True
    if isinstance(raw, dict):
        items = {str(name): _decrypted(item, secrets, key) for name, item in raw.items()}
        return {name: item for name, (item, _) in items.items()}, any(secret for _, secret in items.values())
    if isinstance(raw, list):
        elements = [_decrypted(item, secrets, key) for item in raw]
        return [item for item, _ in elements], any(secret for _, secret in elements)
    return raw, False


def require_lab(config: Config, stack: str) -> None:
    """Refuse any stack but a lab's: its settings must name the lab's reserved subscription, and no other."""
    found = sorted(set(_subscriptions(config)))
    if found != [identity.SUBSCRIPTION_ID]:
        named = f"it names {', '.join(found)}" if found else "it names none"
        raise Refused(
            f"stack {stack!r}: the embedded engine serves lab stacks only, whose settings have a subscription_id of "
            f"{identity.SUBSCRIPTION_ID}; {named}. Use the pulumi CLI for other stacks."
        )


def _subscriptions(config: Config) -> Iterator[str]:
    for key, value in config.values.items():
        parsed: Any = value
        if value[:1] in "{[":
            try:
                parsed = json.loads(value)
            except ValueError:
                continue
        yield from _named(key.partition(":")[2], parsed)


def _named(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _named(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _named("", item)
    elif name.endswith(("subscription_id", "subscriptionId")):
        yield str(value)
