"""What endpoints and deployments have in common: ARM's tracked-resource envelope as batch endpoints use it."""

from __future__ import annotations

from typing import Any

from lab import identity
from lab.emulator.errors import user_error
from lab.emulator.shapes import Property, Shape, Text, Texts, Whole
from lab.emulator.timestamps import seven_digits

IDENTITY = Shape(
    {
        "type": Property(
            Text(("None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned")), required=True
        ),
        "userAssignedIdentities": Property(Texts(), sparse=True),
    },
    read_only=("principalId", "tenantId"),
)
SKU = Shape(
    {
        "name": Property(Text(), required=True),
        "tier": Property(Text(("Free", "Basic", "Standard", "Premium")), sparse=True),
        "size": Property(Text(), sparse=True),
        "family": Property(Text(), sparse=True),
        "capacity": Property(Whole(0), sparse=True),
    }
)


def tracked(properties: Shape) -> Shape:
    """The body of a PUT."""
    return Shape(
        {
            "location": Property(Text(), required=True),
            "tags": Property(Texts(tags=True), default={}),
            "kind": Property(Text(), sparse=True),
            "sku": Property(SKU, sparse=True),
            "identity": Property(_AnyIdentity(), sparse=True),
            "properties": Property(properties, required=True),
        },
        read_only=("id", "name", "type", "systemData"),
    )


class _AnyIdentity:
    """Reads `userAssignedIdentities` as it comes: the refusal below names it better than a fault of its shape."""

    def read(self, value: Any, where: str, findings: Any) -> Any:
        if isinstance(value, dict):
            value = {name: item for name, item in value.items() if name.lower() != "userassignedidentities" or item}
        if isinstance(value, dict) and any(name.lower() == "userassignedidentities" for name in value):
            return {"type": "UserAssigned"}
        return IDENTITY.read(value, where, findings)


def said_identity(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The identity as it is written back. User-assigned ones are refused: batch endpoints have none."""
    if given is None:
        return None
    if "UserAssigned" in given["type"]:
        raise user_error(
            400,
            "identity: user-assigned identities are not supported for batch endpoints and deployments.",
            inner=("BadArgument", "UserAssignedIdentityNotSupported"),
        )
    if given["type"] == "None":
        return {"type": "None", "principalId": None, "tenantId": None}
    return {"type": given["type"], "principalId": identity.PRINCIPAL_ID, "tenantId": identity.TENANT_ID}


def optional_parts(given: dict[str, Any]) -> dict[str, Any]:
    """`kind`, `sku` and `identity`: said only where they were given (recorded bodies lack them)."""
    parts = {name: given[name] for name in ("kind", "sku") if given.get(name) is not None}
    who = said_identity(given.get("identity"))
    return parts if who is None else {**parts, "identity": who}


def system_data(now: float, old: dict[str, Any] | None) -> dict[str, str]:
    """No `createdByType`, no `lastModifiedBy` (recorded)."""
    created = old["systemData"]["createdAt"] if old else seven_digits(now)
    return {"createdAt": created, "createdBy": "lab", "lastModifiedAt": seven_digits(now)}
