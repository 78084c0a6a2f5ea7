"""Errors in the service's own envelopes.

AzureError
  what `user_error` makes: Azure ML's own, `UserError` on top, the HTTP status tells what it is (recorded 2023-12)
  what `arm_error` makes: Azure Resource Manager's front door, code and message only
  what `unknown` makes: not Azure's at all: the lab says by name what it does not know
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import identity
from lab.emulator.timestamps import seven_digits

UNKNOWN_TO_THE_LAB = "UnknownToTheLab"
"""Top-level code of every refusal that is the lab's own and not Azure's."""


class AzureError(Exception):
    """Raised anywhere below a route; the application turns it into the reply."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, Any]] = (),
        inner: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = list(details)
        self.inner = tuple(inner)
        self.headers = dict(headers or {})
        self.bare = bare
        """Without Azure ML's `details` and `additionalInfo`: Azure Resource Manager's own errors."""

    def body(self, now: float) -> dict[str, Any]:
        """The envelope as JSON. `now`: seconds since the epoch."""
        if self.bare:
            return {"error": {"code": self.code, "message": self.message}}
        inner: dict[str, Any] | None = None
        for code in reversed(self.inner):
            inner = {"code": code, "innerError": inner}
        information: list[dict[str, Any]] = [
            _information("ComponentName", "managementfrontend"),
            _information("Correlation", {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}),
            _information("Environment", identity.LOCATION),
            _information("Location", identity.LOCATION),
            _information("Time", seven_digits(now)),
        ]
        if inner is not None:
            information.append(_information("InnerError", inner))
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "additionalInfo": information,
            }
        }


def _information(kind: str, value: object) -> dict[str, Any]:
    return {"type": kind, "info": {"value": value}}


def user_error(
    status: int, message: str, *, inner: Sequence[str] = (), details: Sequence[tuple[str, str]] = ()
) -> AzureError:
    """Azure ML's error; `inner` are nested codes from the outside in, `details` are (code, message)."""
    return AzureError(
        status,
        "UserError",
        message,
        inner=inner,
        details=[{"code": code, "message": text, "details": [], "additionalInfo": []} for code, text in details],
    )


def arm_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> AzureError:
    return AzureError(status, code, message, headers=headers, bare=True)


def unknown(what: str) -> AzureError:
    """The lab's own refusal, by name. 400, so that no client retries it or takes it for "gone"."""
    return AzureError(400, UNKNOWN_TO_THE_LAB, f"The lab does not know {what}.", bare=True)


@dataclass(frozen=True)
class Fault:
    """One entry of a validation error."""

    property_name: str
    message: str
    attempted: object
    code: str = "PredicateValidator"


def validation_error(what: str, faults: Iterable[Fault]) -> AzureError:
    """400 in the form of the service's validator (azure-sdk-for-python#41586): all faults at once, as JSON."""
    listed = json.dumps(
        [
            {
                "PropertyName": fault.property_name,
                "ErrorMessage": fault.message,
                "AttemptedValue": fault.attempted,
                "ErrorCode": fault.code,
            }
            for fault in faults
        ]
    )
    return user_error(
        400,
        f"The {what} request provided has the following validation errors. "
        f"Please resolve them and try again. Errors: {listed}",
        inner=("BadArgument", "ValidationError"),
    )
