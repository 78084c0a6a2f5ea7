"""Built-in roles that the lab knows, by the ids that they have in every tenant.

Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles. Of what a role allows, only what the
lab looks at is noted: blobs, queues and tables of a storage account.
"""

from __future__ import annotations

from dataclasses import dataclass

READ, WRITE = "blobs read", "blobs written"
QUEUES, TABLES = "queues", "tables"


@dataclass(frozen=True)
class Role:
    name: str
    allows: frozenset[str] = frozenset()


ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": Role("Owner"),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": Role("Contributor"),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": Role("Reader"),
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": Role("Storage Blob Data Owner", frozenset({READ, WRITE})),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": Role("Storage Blob Data Contributor", frozenset({READ, WRITE})),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": Role("Storage Blob Data Reader", frozenset({READ})),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": Role("Storage Queue Data Contributor", frozenset({QUEUES})),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": Role("Storage Table Data Contributor", frozenset({TABLES})),
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": Role("AcrPull"),
    "8311e382-0749-4cb8-b61a-304f252e45ec": Role("AcrPush"),
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": Role("AzureML Data Scientist"),
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": Role("Key Vault Administrator"),
}
