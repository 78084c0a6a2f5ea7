"""What a client asked the lab, from the lab's own log: templates of its calls, and what was refused."""

from __future__ import annotations

import json
import re
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from lab.testing import LabUnderTest

REFUSALS = ("UnknownToTheLab", "RefusedByTheProxy")
_WORKSPACE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+",
    re.IGNORECASE,
)
_OPERATION = re.compile(r".*/(?:mfe|compute)OperationsStatus/.*", re.IGNORECASE)
_COLLECTIONS = (
    *("batchEndpoints", "deployments", "jobs", "codes", "models", "environments", "data", "versions", "computes"),
    *("datastores", "runs"),
)
_NAMED = re.compile(rf"/({'|'.join(_COLLECTIONS)})/[^/]+(?=/|$)")


def template(method: str, path: str, version: str) -> str:
    """A call without what differs from run to run: `PUT {WS}/models/*/versions/* 2023-08-01-preview`."""
    if _OPERATION.fullmatch(path):
        # Operations lie at the URL that the service gave, with the version of the call that began them.
        return f"{method} operation"
    shape = _WORKSPACE.sub("{WS}", path)
    for _ in range(2):
        shape = _NAMED.sub(r"/\1/*", shape)
    return f"{method} {shape} {version}".strip()


def templates(requests: list[dict[str, Any]]) -> set[str]:
    """Of all calls that the lab did not refuse."""
    found = set()
    for each in requests:
        if each["error"] in REFUSALS:
            continue
        url = urlsplit(each["url"])
        host = url.hostname or ""
        where = "{scoring}" if host.endswith(".inference.ml.azure.com") else ""
        version = re.search(r"(?:^|&)api-version=([^&]*)", url.query)
        found.add(template(each["method"], where + url.path, version[1] if version else ""))
    return found


@dataclass
class Control:
    """The lab's control API, as far as these tests need it."""

    lab: LabUnderTest
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        facts = self.lab.facts
        self._client = httpx.Client(
            base_url=f"https://127.0.0.1:{facts.emulator_port}/_lab/",
            headers={"Authorization": f"Bearer {facts.control_token}"},
            verify=ssl.create_default_context(cafile=facts.ca_file),
            trust_env=False,
        )

    def settings(self, **changed: object) -> None:
        self._client.put("settings", json=changed).raise_for_status()

    def forget_requests(self) -> None:
        self._client.delete("requests").raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get("requests").raise_for_status().json()["requests"]
        return found

    def close(self) -> None:
        self._client.close()


@contextmanager
def control_of(lab: LabUnderTest) -> Iterator[Control]:
    control = Control(lab)
    try:
        yield control
    finally:
        control.close()


def refusals(requests: list[dict[str, Any]]) -> Counter[str]:
    """`METHOD url` of what the lab refused by name, with how often."""
    return Counter(
        f"{each['method']} {each['url'].partition('?')[0]}" for each in requests if each["error"] in REFUSALS
    )


def steps(output: str) -> dict[str, Mapping[str, Any]]:
    """The JSON lines that a client program printed, by step."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {line["step"]: line for line in lines}
