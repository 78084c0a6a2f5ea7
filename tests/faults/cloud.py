"""The lab as a process inside it sees it (`python -m lab run`): its control API, ARM, and the wire to blob storage."""

from __future__ import annotations

import io
import os
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from lab import identity
from lab.home import home_from
from lab.running import require_running
from providers.arm import ArmClient
from providers.arm import client as _client  # noqa: F401 - the module below must be imported before it is changed

WORKSPACE = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)
API = "2025-12-01"
FASTER = 20
"""How much faster the product's clock goes, between tries, between polls and at deadlines: its rules are tested, not
its patience."""


class Cloud:
    """`arm` talks behind the back of the kinds; the kinds' own client takes shorter pauses and tells them."""

    def __init__(self) -> None:
        self._facts = require_running(home_from(os.environ))
        self._http = httpx.Client(
            verify=ssl.create_default_context(cafile=self._facts.ca_file),
            trust_env=False,
            timeout=60,
            headers={"Authorization": f"Bearer {self._facts.control_token}"},
            base_url=f"https://127.0.0.1:{self._facts.emulator_port}/_lab/",
        )
        self._pauses = threading.local()
        self.arm = ArmClient()
        self.blobs = BlobWire()
        clients: dict[str, ArmClient] = sys.modules["providers.arm.client"]._clients
        clients["public"] = ArmClient(sleep=self._pause, clock=lambda: time.monotonic() * FASTER)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        time.sleep(seconds / FASTER)

    @property
    def pauses(self) -> list[float]:
        """Seconds of each pause that the product asked for in this thread."""
        if not hasattr(self._pauses, "taken"):
            self._pauses.taken = []
        found: list[float] = self._pauses.taken
        return found

    def faults(self, *script: Mapping[str, Any]) -> None:
        """Add to the script; entries are about one resource each, and those that are left over strike nothing."""
        self._http.post("faults", json=list(script)).raise_for_status()

    def settings(self, **values: Any) -> None:
        self._http.put("settings", json=values).raise_for_status()

    def requests(self, path: str, method: str = "") -> list[dict[str, Any]]:
        """What the lab was asked about `path` (a regular expression), oldest first."""
        found = self._http.get("requests").raise_for_status().json()["requests"]
        return [
            each
            for each in found
            if (not method or each["method"] == method) and re.search(path, each["url"], re.IGNORECASE)
        ]

    def jobs(self, endpoint: str) -> list[dict[str, Any]]:
        """An endpoint's jobs as the data plane lists them: with what they read and write."""
        url: str | None = (
            f"https://{identity.LOCATION}.api.azureml.ms/mferp/managementfrontend{endpoint}/jobs"
            "?api-version=2020-09-01-dataplanepreview"
        )
        found: list[dict[str, Any]] = []
        while url:
            page = self.arm.call("GET", url, audience=self.arm.cloud.ml_audience, idempotent=True).body
            found += page["value"]
            url = page.get("nextLink")
        return found

    def get(self, arm_id: str) -> dict[str, Any] | None:
        return self.arm.get(arm_id, api_version=API)

    def put(self, arm_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.arm.put(arm_id, body, api_version=API, deadline=60)

    def begin_deletion(self, arm_id: str) -> None:
        """A DELETE whose end nobody waits for."""
        cloud = self.arm.cloud
        url = f"{cloud.arm}{arm_id}?api-version={API}"
        self.arm.call("DELETE", url, audience=cloud.arm_audience, idempotent=True)

    def delete(self, arm_id: str) -> None:
        self.arm.delete(arm_id, api_version=API, deadline=60)


@dataclass
class BlobFault:
    """What happens to the next request of `method` for a blob whose URL has `part`: before it is sent, or after."""

    method: str
    part: str
    when: str
    status: int = 0
    """Answered instead; 0 for a connection that breaks."""
    text: str = ""
    times: int = 1


class BlobWire:
    """Faults between the storage SDK and blob storage, which is no part of the emulator: below `requests`."""

    def __init__(self) -> None:
        self._faults: list[BlobFault] = []
        self._lock = threading.Lock()

    def add(self, fault: BlobFault) -> None:
        with self._lock:
            self._faults.append(fault)

    @contextmanager
    def in_force(self) -> Iterator[None]:
        real: Callable[..., requests.Response] = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            fault = self._strike(request)
            if fault is None:
                return real(adapter, request, **options)
            if fault.when == "after":
                real(adapter, request, **options)
                raise requests.exceptions.ReadTimeout("the answer was lost")
            if fault.status:
                return _answer(request, fault)
            raise requests.exceptions.ConnectionError("the connection was dropped")

        HTTPAdapter.send = send  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            HTTPAdapter.send = real  # type: ignore[method-assign]

    def _strike(self, request: requests.PreparedRequest) -> BlobFault | None:
        url = str(request.url)
        if ".blob." not in str(urlsplit(url).hostname):
            return None
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.method == request.method and fault.part in url:
                    fault.times -= 1
                    return fault
        return None


def _answer(request: requests.PreparedRequest, fault: BlobFault) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer.reason = fault.status, "as the script of faults says"
    answer.request, answer.url = request, str(request.url)
    answer.headers.update({"Content-Type": "text/html", "Retry-After": "1"})
    code = re.search("<Code>(.*)</Code>", fault.text)
    if code:
        answer.headers.update({"Content-Type": "application/xml", "x-ms-error-code": code[1]})
    answer.raw = HTTPResponse(io.BytesIO(fault.text.encode()), preload_content=False, status=fault.status)
    return answer
