"""URNs: `urn:pulumi:<stack>::<project>::<parent types$type>::<name>`, and references to providers: `<urn>::<id>`."""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:"


def make(stack: str, project: str, parent: str, kind: str, name: str) -> str:
    parent_types = qualified_type(parent) if parent else ""
    prefix = f"{parent_types}$" if parent_types and parent_types != STACK_TYPE else ""
    return f"urn:pulumi:{stack}::{project}::{prefix}{kind}::{name}"


def qualified_type(urn: str) -> str:
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    return qualified_type(urn).rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def package_of(kind: str) -> str:
    return kind.split(":", 1)[0]


def is_provider(kind: str) -> bool:
    return kind.startswith(_PROVIDER)


def provider_type(package: str) -> str:
    return _PROVIDER + package


def provider_package(kind: str) -> str:
    return kind.removeprefix(_PROVIDER)


def provider_urn(reference: str) -> str:
    return reference.rpartition("::")[0]


def provider_id(reference: str) -> str:
    return reference.rpartition("::")[2]
