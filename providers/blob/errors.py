"""What blob storage refuses, in one line; providers/explanations.py says what to do.

ArmError (providers.arm)
  BlobError        blob storage, or the way to it, failed
    BlobMissing    404: no such blob or container
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from providers.arm.clocks import about_time, difference
from providers.arm.errors import ArmError


class BlobError(ArmError): ...


class BlobMissing(BlobError): ...


@contextmanager
def translated(what: str, where: str) -> Iterator[None]:
    """Turn what azure-storage-blob raises inside into a BlobError about doing `what` to the blob `where`."""
    try:
        yield
    except AzureError as error:
        raise blob_error(error, what, where) from error


def blob_error(error: AzureError, what: str, where: str) -> BlobError:
    """The BlobError that says what `error` means."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _refusal(error, what, where)
    message = str(error).strip() or type(error).__name__
    if isinstance(error, ClientAuthenticationError):
        message = f"could not sign in for blob storage: {message}"
    elif isinstance(error, ServiceRequestError | ServiceResponseError):
        message = f"no connection to blob storage: {message}; check the network, HTTPS_PROXY and REQUESTS_CA_BUNDLE"
    return BlobError(f"{what}: {message}", code=type(error).__name__, arm_id=where, operation=what)


def _refusal(error: HttpResponseError, what: str, where: str) -> BlobError:
    headers = getattr(error.response, "headers", {})
    code = getattr(error, "error_code", None) or headers.get("x-ms-error-code", "")
    code = str(getattr(code, "value", code))
    # The SDK's text is the service's message and then lines of request id, time and code, which we carry apart.
    said = (error.message or "").strip().split("\n")[0]
    time = about_time(str((getattr(error, "additional_info", None) or {}).get("authenticationerrordetail", "")))
    said += (f" {time}" if time else "") + difference(headers, error.status_code)
    kind = BlobMissing if isinstance(error, ResourceNotFoundError) or error.status_code == 404 else BlobError
    return kind(
        f"{what}: {said}",
        status=error.status_code,
        code=code or type(error).__name__,
        arm_id=where,
        operation=what,
        correlation_id=headers.get("x-ms-request-id", ""),
    )
