"""A workspace as its callers reach it: Resource Manager, and the region's hosts beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from providers.arm import ArmClient

from .refusal import Refusal

API_VERSION = "2025-12-01"
"""ARM api-version of what is asked here where nobody sets another."""
_LISTS_API_VERSION = "2020-09-01-dataplanepreview"


@dataclass(frozen=True)
class Workspace:
    """`id` is the workspace's ARM id. Safe between threads, as its ArmClient is."""

    arm: ArmClient
    id: str
    api_version: str = API_VERSION

    def get(self, path: str) -> dict[str, Any] | None:
        """A resource below the workspace, `jobs/<name>`, or None."""
        return self.arm.get(f"{self.id}/{path}", api_version=self.api_version)

    @cached_property
    def api_url(self) -> str:
        """The region's host of job lists, as the workspace's discovery document names it."""
        return self._hosts["api"].rstrip("/")

    @cached_property
    def history_url(self) -> str:
        """The region's host of run history."""
        return self._hosts["history"].rstrip("/")

    def jobs_of(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """The jobs of a batch endpoint or deployment by its ARM id, from the list that the data plane keeps."""
        url: str | None = f"{self.api_url}/mferp/managementfrontend{batch_id}/jobs?api-version={_LISTS_API_VERSION}"
        while url:
            page = self.arm.call("GET", url, audience=self.arm.cloud.ml_audience, idempotent=True).body
            yield from page["value"]
            url = page.get("nextLink")

    @cached_property
    def _hosts(self) -> Mapping[str, str]:
        workspace = self.arm.get(self.id, api_version=self.api_version)
        url = ((workspace or {}).get("properties") or {}).get("discoveryUrl")
        if not url:
            raise Refusal(f"{self.id} does not exist, or names no discoveryUrl", name="workspace-unreadable")
        return dict(json.loads(self.arm.fetch_text(url)))
