"""Property values as they travel between program, engine, providers and state.

A value is None, a bool, a number, a str, a list, a dict, or one of the three marks below. The wire form is
`google.protobuf.Struct` with magic keys; the state form is JSON with the same keys and encrypted secrets.
Source of both forms: pulumi 3.260.0, pkg/resource/plugin/rpc.go and pkg/resource/stack/deployment.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2

from lab.engine.errors import Refused

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  (the signature of secrets)
REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_VALUE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSETS: Final = {"c44067f5952c0a294b673a41bacd8c17": "assets", "0def7320c3a5731c473e5ecbe6d01bc7": "archives"}
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_TEXTS: Final = {
    UNKNOWN_TEXT,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}

Properties = dict[str, Any]


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted in state. `sealed` remembers (salt, ciphertext), so that unchanged state stays so."""

    value: Any = field(repr=False)
    sealed: list[str] = field(default_factory=list, compare=False, repr=False)


class Unknown:
    """A value that only the real operation will tell; met in previews alone."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Reference:
    """A resource inside a property. `id` is None for components, UNKNOWN_TEXT where not known yet."""

    urn: str
    id: str | None = None
    version: str = ""


def from_struct(struct: struct_pb2.Struct, *, unknowns: bool = True) -> Properties:
    """Wire to values. With `unknowns=False` an unknown value is an error, as where a provider did the real thing."""
    return {key: _from_value(key, value, unknowns) for key, value in sorted(struct.fields.items())}


def _from_value(key: str, value: struct_pb2.Value, unknowns: bool) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        if value.string_value not in _UNKNOWN_TEXTS:
            return value.string_value
        if not unknowns:
            raise Refused(f"unexpected unknown property value for {key!r}")
        return UNKNOWN
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 1e15 else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_value(key, item, unknowns) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_marked(key, from_struct(value.struct_value, unknowns=unknowns))
    return None


def _from_marked(key: str, fields: Properties) -> Any:
    signature = fields.get(SIGNATURE)
    if signature is None:
        return fields
    if signature == SECRET:
        return Secret(fields["value"])
    if signature == REFERENCE:
        ident = fields.get("id")
        known = UNKNOWN_TEXT if ident in ("", UNKNOWN) else ident
        return Reference(fields["urn"], known, fields.get("packageVersion", ""))
    if signature == OUTPUT_VALUE:
        value = fields.get("value", UNKNOWN)
        return Secret(value) if fields.get("secret") else value
    raise Refused(f"property {key!r}: {ASSETS.get(str(signature), f'signature {signature}')} are not supported")


def to_struct(properties: Mapping[str, Any], *, unknowns: bool, secrets: bool, references: bool) -> struct_pb2.Struct:
    """Values to wire; what the other side does not accept is dropped (unknowns) or unwrapped (secrets, references)."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        sent = _to_plain(value, unknowns, secrets, references)
        if sent is not UNKNOWN:
            struct.fields[key].CopyFrom(_to_value(sent))
    return struct


def _to_value(plain: Any) -> struct_pb2.Value:
    if plain is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(plain, bool):
        return struct_pb2.Value(bool_value=plain)
    if isinstance(plain, int | float):
        return struct_pb2.Value(number_value=plain)
    if isinstance(plain, str):
        return struct_pb2.Value(string_value=plain)
    if isinstance(plain, list):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in plain]))
    return struct_pb2.Value(struct_value=struct_pb2.Struct(fields={k: _to_value(v) for k, v in plain.items()}))


def _to_plain(value: Any, unknowns: bool, secrets: bool, references: bool) -> Any:
    """UNKNOWN as result means: leave it out."""
    if isinstance(value, Secret):
        inner = _to_plain(value.value, unknowns, secrets, references)
        return {SIGNATURE: SECRET, "value": inner} if secrets and inner is not UNKNOWN else inner
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT if unknowns else UNKNOWN
    if isinstance(value, Reference):
        if not references:
            return value.urn if value.id is None else value.id
        return _reference_fields(value)
    if isinstance(value, list):
        items = [_to_plain(item, unknowns, secrets, references) for item in value]
        return [item for item in items if item is not UNKNOWN]
    if isinstance(value, dict):
        sent = {key: _to_plain(item, unknowns, secrets, references) for key, item in value.items()}
        return {key: item for key, item in sent.items() if item is not UNKNOWN}
    return value


def _reference_fields(reference: Reference) -> dict[str, Any]:
    fields: dict[str, Any] = {SIGNATURE: REFERENCE, "urn": reference.urn, "packageVersion": reference.version}
    if reference.id is not None:
        fields["id"] = reference.id
    return fields


Seal = Callable[[str, Secret], str]


def to_json(value: Any, seal: Seal | None) -> Any:
    """Values to state JSON. `seal` encrypts a secret's JSON text; None leaves it as plaintext (show secrets)."""
    if isinstance(value, Secret):
        text = json.dumps(to_json(value.value, _nested), separators=(",", ":"))
        kept = {"plaintext": text} if seal is None else {"ciphertext": seal(text, value)}
        return {SIGNATURE: SECRET, **kept}
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, Reference):
        return _reference_fields(value)
    if isinstance(value, list):
        return [to_json(item, seal) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item, seal) for key, item in sorted(value.items())}
    return value


def _nested(text: str, _: Secret) -> str:
    return text  # inside a secret, the whole text is encrypted once, from outside


def from_json(value: Any, unseal: Callable[[str], Secret]) -> Any:
    """State JSON to values. `unseal` turns a ciphertext into a Secret that holds the parsed value."""
    if isinstance(value, list):
        return [from_json(item, unseal) for item in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE)
    if signature is None:
        return {key: from_json(item, unseal) for key, item in value.items()}
    if signature == SECRET and "plaintext" in value:
        return Secret(from_json(json.loads(value["plaintext"]), _unseal_nested))
    if signature == SECRET:
        return unseal(value["ciphertext"])
    if signature == REFERENCE:
        return Reference(value["urn"], value.get("id"), value.get("packageVersion", ""))
    raise Refused(f"the state holds {ASSETS.get(str(signature), f'values of signature {signature}')}: not supported")


def _unseal_nested(text: str) -> Secret:
    return Secret(from_json(json.loads(text), _unseal_nested))


def plain(value: Any, secret: Callable[[Any], Any] = lambda value: value) -> Any:
    """The value without marks, for comparing and showing; `secret` says what stands for a secret."""
    if isinstance(value, Secret):
        return secret(plain(value.value, secret))
    if isinstance(value, Reference):
        return _reference_fields(value)
    if isinstance(value, list):
        return [plain(item, secret) for item in value]
    if isinstance(value, dict):
        return {key: plain(item, secret) for key, item in value.items()}
    return value


def same(left: Any, right: Any) -> bool:
    """Deep equality where 1 and true differ, as in JSON; an unknown equals nothing but an unknown."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Secret) and isinstance(right, Secret):
        return same(left.value, right.value)
    return bool(left == right)


def contains(value: Any, mark: type) -> bool:
    """Whether a mark (Secret, Unknown) lies anywhere inside the value."""
    if isinstance(value, mark):
        return True
    if isinstance(value, Secret):
        return contains(value.value, mark)
    if isinstance(value, list):
        return any(contains(item, mark) for item in value)
    return isinstance(value, dict) and any(contains(item, mark) for item in value.values())


def mark_secrets(outputs: Properties, inputs: Mapping[str, Any]) -> None:
    """Re-mark, by name and in place, what went unwrapped to a provider that does not know secrets."""
    for key, given in inputs.items():
        if key not in outputs:
            continue
        got = outputs[key]
        if isinstance(got, dict) and isinstance(given, dict):
            mark_secrets(got, given)
        elif not isinstance(got, Secret) and contains(given, Secret):
            outputs[key] = Secret(got)


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Top-level differences, secrets unwrapped: key -> "add", "delete" or "update"; absent and null are one."""
    changes = {}
    for key in sorted({*old, *new}):
        left, right = plain(old.get(key)), plain(new.get(key))
        if isinstance(right, Unknown) or not same(left, right):
            changes[key] = "add" if left is None else "delete" if right is None else "update"
    return changes
