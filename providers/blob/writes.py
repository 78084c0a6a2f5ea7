"""Put Blob, Copy Blob and Delete Blob, which an upload or a teardown makes once for each file, by a short way.

azure-storage-blob takes 1.3 to 1.6 ms of processor time for each of its calls, of which the bytes on the wire are the
smallest part; by this way it is half of that (docs/decisions/0012). It is put together of the same things: azure-core's
pipeline and transport, the client's own credential, its rule of trying again. What is left out is what such a request
does not need: tracing, logging, content validation, secondary hosts, serialisers of thirty optional headers.

https://learn.microsoft.com/rest/api/storageservices/put-blob, .../copy-blob, .../delete-blob
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, HTTPPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse

Hook = Callable[..., None]
"""Called with `response`, or None for it, before a request is sent once more."""
_ABSENT = {(404, "BlobNotFound"), (404, "ContainerNotFound")}
_UNMET = {(409, "BlobAlreadyExists"), (412, "ConditionNotMet")}


class Writes:
    """The three requests on the blobs of one container. Safe between threads. What they raise is azure-core's."""

    def __init__(
        self,
        url: str,
        *,
        version: str,
        transport: HttpTransport[Any, Any],
        retry: HTTPPolicy[Any, Any],
        credential: TokenCredential | SansIOHTTPPolicy[Any, Any] | None,
        audience: str,
    ) -> None:
        """`url` is the container's, without a signature; `version` is a date, of the service's interface.

        `credential`: an Entra ID credential, the policy that signs with a key, or None for nobody.
        """
        self._url = url
        self._version = version
        policies: list[HTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any]] = [retry]
        if isinstance(credential, TokenCredential):
            policies.append(BearerTokenCredentialPolicy(credential, f"{audience}/.default"))
        elif credential:
            policies.append(credential)
        self._pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(transport, policies)

    def put(self, name: str, content: bytes, *, sha256: str, replaces: str | None = None, hook: Hook) -> bool:
        """Write a whole blob, where there is none, or only the one with the etag `replaces`; else it returns False."""
        answer = self._send(
            "PUT",
            name,
            {
                "x-ms-blob-type": "BlockBlob",
                "x-ms-meta-sha256": sha256,
                "Content-Type": "application/octet-stream",
                **_condition(replaces),
            },
            content,
            hook,
        )
        if _unmet(answer):
            return False
        _expect(answer, 201)
        return True

    def copy(self, name: str, source: str, *, replaces: str | None = None, hook: Hook) -> str:
        """Have the service copy a blob of the container, with its metadata.

        Conditions as `put`. Returns `success`, or the id of a copy that has not ended.
        """
        answer = self._send("PUT", name, {"x-ms-copy-source": self._of(source), **_condition(replaces)}, b"", hook)
        _expect(answer, 202)
        return (
            "success" if answer.headers.get("x-ms-copy-status") == "success" else answer.headers.get("x-ms-copy-id", "")
        )

    def delete(self, name: str) -> bool:
        """Delete a blob with its snapshots; False when there was none, or no container."""
        answer = self._send("DELETE", name, {"x-ms-delete-snapshots": "include"}, None, None)
        if (answer.status_code, answer.headers.get("x-ms-error-code")) in _ABSENT:
            return False
        _expect(answer, 202)
        return True

    def _send(
        self, verb: str, name: str, headers: Mapping[str, str], content: bytes | None, hook: Hook | None
    ) -> HttpResponse:
        request = HttpRequest(
            verb,
            self._of(name),
            headers={
                "x-ms-version": self._version,
                "x-ms-date": format_datetime(datetime.now(timezone.utc), usegmt=True),
                "x-ms-client-request-id": str(uuid4()),
                "User-Agent": "aml-batch-scoring/0.1",
                "Accept": "application/xml",
                **headers,
            },
            content=content,
        )
        return self._pipeline.run(request, **({"retry_hook": hook} if hook else {})).http_response

    def _of(self, name: str) -> str:
        return f"{self._url}/{quote(name, safe='/~')}"


def _condition(replaces: str | None) -> dict[str, str]:
    return {"If-Match": replaces} if replaces else {"If-None-Match": "*"}


def _unmet(answer: HttpResponse) -> bool:
    return (answer.status_code, answer.headers.get("x-ms-error-code")) in _UNMET


def _expect(answer: HttpResponse, status: int) -> None:
    """Raise what the service says, where that is not what a success has. Its text is in the body, as XML."""
    if answer.status_code == status:
        return
    try:
        said = ET.fromstring(answer.content.decode("utf-8-sig"))  # noqa: S314 - no DTD is read
    except (ET.ParseError, UnicodeDecodeError):
        said = ET.Element("Error")
    message = said.findtext("Message") or f"status {answer.status_code} {answer.reason}".strip()
    error = HttpResponseError(message, response=answer)
    # As the SDK has it on its own errors: a clock that is wrong is told from it.
    error.additional_info = {"authenticationerrordetail": said.findtext("AuthenticationErrorDetail") or ""}  # type: ignore[attr-defined]
    raise error
