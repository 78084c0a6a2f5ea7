"""What can go wrong between here and Azure, by what the caller can do about it.

ArmError                    anything below; its text is one line
  NotFound                  404: it is not there
  Conflict                  409, 412: it exists, or is in a state that refuses this
    Busy                    409 with a code that means "another operation is running": waiting helps
  Throttled                 429: asked too often
  Unauthorized              401, or no credential could sign in
  Forbidden                 403: signed in, but not allowed
  Invalid                   400 and other 4xx: the request is wrong; `failures` names properties where the service did
  ServerTrouble             408, 5xx: the service failed
  OperationFailed           a long-running operation ended in Failed
    OperationCanceled       ... or in Canceled
  DeadlineExceeded          we stopped waiting; the operation may still be running
  Unreachable               no answer: name resolution, connection, TLS, timeout
    AnswerLost              the request was sent and no whole answer came: it may have been carried out
  BadAnswer                 an answer that is not what ARM speaks: HTML, half a body, not JSON, a redirect
  ForeignHost               refused here, before anything was sent: not a host of this cloud
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .clocks import difference
from .error_body import said_in
from .redact import redact

BUSY_CODES = frozenset(
    {
        # ARM's own: another write on the same resource has not ended.
        "anotheroperationinprogress",
        "operationinprogress",
        "conflictingconcurrentwritenotallowed",
        "concurrentoperationnotallowed",
        "retryableerror",
        "resourcebusy",
        # Compute: the cluster is still being created or resized.
        "computeoperationinprogress",
    }
)
"""409 codes, in lower case, that mean "wait": the whole list; 409 with any other code is never retried.

ARM's are from https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and
azure-native's client; what batch endpoints answer while they are updating is not recorded anywhere public.
"""

_BODY_EXCERPT = 2000  # characters
_MESSAGE_LIMIT = 1500  # characters


class ArmError(Exception):
    """A failure, with what is known of it. `str()` is one line: code, message, and where."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        inner_code: str = "",
        arm_id: str = "",
        operation: str = "",
        correlation_id: str = "",
        body: str = "",
        failures: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.message = _one_line(redact(message))
        self.status = status
        """HTTP status; None when there was no answer, or the failure was not one of HTTP."""
        self.code = code
        """ARM's code. Azure Machine Learning says `UserError` on top: see `inner_code`."""
        self.inner_code = inner_code
        """The innermost code the service gave; empty when it gave none beside `code`."""
        self.arm_id = arm_id
        self.operation = operation
        """What was being done: `PUT`, `DELETE`, or the id of a long-running operation."""
        self.correlation_id = correlation_id
        """What Microsoft's support asks for."""
        self.body = redact(body[:_BODY_EXCERPT])
        """The first 2,000 characters of the answer's body."""
        self.failures = failures
        """(property, message) of each validation failure that the service named."""
        self.retry_after: float | None = None
        """Seconds that the answer asked to wait before the next attempt."""
        super().__init__(self.message)

    @property
    def codes(self) -> frozenset[str]:
        """Every code of the answer, in lower case."""
        return frozenset(code.lower() for code in (self.code, self.inner_code) if code)

    @property
    def maybe_carried_out(self) -> bool:
        """Whether the request may have been carried out all the same: look before it is sent again."""
        return isinstance(self, AnswerLost | ServerTrouble) or (
            isinstance(self, BadAnswer) and self.status is not None and self.status < 300
        )

    def __str__(self) -> str:
        codes = "/".join(dict.fromkeys(code for code in (self.code, self.inner_code) if code))
        where = [
            f"{name} {value}"
            for name, value in (
                ("status", self.status),
                ("operation", self.operation),
                ("id", self.arm_id),
                ("correlation", self.correlation_id),
            )
            if value
        ]
        return f"{codes}: {self.message}"[0 if codes else 2 :] + (f" [{', '.join(where)}]" if where else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self.message, {**self.__dict__}))


class NotFound(ArmError): ...


class Conflict(ArmError): ...


class Busy(Conflict): ...


class Throttled(ArmError): ...


class Unauthorized(ArmError): ...


class Forbidden(ArmError): ...


class Invalid(ArmError): ...


class ServerTrouble(ArmError): ...


class OperationFailed(ArmError): ...


class OperationCanceled(OperationFailed): ...


class DeadlineExceeded(ArmError): ...


class Unreachable(ArmError): ...


class AnswerLost(Unreachable): ...


class BadAnswer(ArmError): ...


class ForeignHost(ArmError): ...


def _restored(kind: type[ArmError], message: str, facts: dict[str, Any]) -> ArmError:
    error = kind(message)
    error.__dict__.update(facts)
    return error


def error_of(status: int, headers: Mapping[str, str], text: str, *, arm_id: str = "", operation: str = "") -> ArmError:
    """The error that an answer with a status of 300 or more means. Never raises, whatever the body holds."""
    said = said_in(text)
    message = said.message or _without_words(status, headers, text)
    for detail in said.details:
        if detail not in message:
            message += f"; {detail}"
    return _kind(status, frozenset({said.code.lower(), said.inner_code.lower()}))(
        message + difference(headers, status),
        status=status,
        code=said.code,
        inner_code=said.inner_code,
        arm_id=arm_id,
        operation=operation,
        correlation_id=headers.get("x-ms-correlation-request-id")
        or headers.get("x-ms-request-id")
        or said.correlation_id,
        body=text,
        failures=said.failures,
    )


def _kind(status: int, codes: frozenset[str]) -> type[ArmError]:
    if status == 409 and codes & BUSY_CODES:
        return Busy
    if status == 408 or status >= 500:
        return ServerTrouble
    if 300 <= status < 400:
        return BadAnswer
    return {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 412: Conflict, 429: Throttled}.get(
        status, Invalid
    )


def _without_words(status: int, headers: Mapping[str, str], text: str) -> str:
    if 300 <= status < 400:
        host = headers.get("location", "").split("?")[0]
        return f"a redirect to {host!r}, which is not followed: a token never goes where an answer points to"
    shape = "an HTML page" if text.lstrip()[:1] == "<" else "a body of another kind" if text.strip() else "no body"
    title = re.search(r"(?is)<title>(.*?)</title>", text[:20_000])
    said = f" that says {_one_line(title.group(1))!r}" if title else ""
    return f"status {status} with {shape}{said} where ARM's JSON error was expected"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LIMIT else f"{line[: _MESSAGE_LIMIT - 1]}…"
