"""A workspace as its callers reach it: Resource Manager, and the region's hosts beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin

from providers.arm import ArmClient
from providers.arm.errors import BadAnswer

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

    def list(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """A collection below the workspace, `data/<name>/versions`."""
        return self.arm.list(f"{self.id}/{path}", api_version=self.api_version, query=query)

    @cached_property
    def api_url(self) -> str:
        """The region's host of job lists, as the workspace's discovery document names it."""
        return self._host("api")

    @cached_property
    def history_url(self) -> str:
        """The region's host of run history."""
        return self._host("history")

    def jobs_of(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """The jobs of a batch endpoint or deployment by its ARM id, from the list that the data plane keeps."""
        url: str | None = f"{self.api_url}/mferp/managementfrontend{batch_id}/jobs?api-version={_LISTS_API_VERSION}"
        while url:
            answer = self.arm.call("GET", url, audience=self.arm.cloud.ml_audience, idempotent=True)
            page = answer.body if isinstance(answer.body, dict) else {}
            items = page.get("value")
            if not isinstance(items, list):
                raise BadAnswer(
                    f"the list of jobs of {batch_id} has no value",
                    status=answer.status,
                    arm_id=batch_id,
                    operation="GET",
                )
            yield from items
            following = page.get("nextLink")
            url = urljoin(url, following) if isinstance(following, str) and following else None

    def _host(self, service: str) -> str:
        url = self._hosts.get(service)
        if not url:
            raise BadAnswer(f"the discovery document of {self.id} names no {service} host", arm_id=self.id)
        return str(url).rstrip("/")

    @cached_property
    def _hosts(self) -> Mapping[str, Any]:
        workspace = self.arm.get(self.id, api_version=self.api_version)
        url = ((workspace or {}).get("properties") or {}).get("discoveryUrl")
        if not url:
            raise Refusal(f"{self.id} does not exist, or names no discoveryUrl", name="workspace-unreadable")
        text = self.arm.fetch_text(url)
        try:
            return dict(json.loads(text))
        except (ValueError, TypeError) as error:
            raise BadAnswer(
                f"the discovery document is no JSON object: {text[:120]!r}; something else may have answered instead",
                code="NotJson",
                arm_id=url,
                operation="GET",
            ) from error
