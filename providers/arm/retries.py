"""When a request is sent again, and how long we wait first. Decisions only: `client` does the sending.

Sent again, whatever the verb, since nothing was carried out:
- no connection was made (name resolution, refused, TLS, the proxy said no), and
- 429: throttled.
Sent again only when the request is idempotent (GET, PUT, PATCH of ours, DELETE, and a POST that says so):
- 408, 500, 502, 503, 504;
- 409 with a code of `errors.BUSY_CODES`, until the deadline, since an operation on a sibling ends by itself;
- the request went out and no whole answer came back (dropped, stalled, half a body), or the answer was not ARM's JSON.
Never: any other status. A POST that starts a job is not idempotent.
At most ATTEMPTS times and until the deadline; the pause is Retry-After where the answer has one, else 0.5 s doubling to
20 s, of which a random part of up to a half is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from .clocks import http_date
from .errors import AnswerLost, ArmError, BadAnswer, Busy, ServerTrouble, Throttled, Unreachable

ATTEMPTS = 7
"""Times that a request is sent at most; with the pauses below about a minute. `Busy` does not count."""
FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 20.0  # seconds
TRANSIENT_STATUSES = frozenset({408, 500, 502, 503, 504})


def is_sent_again(error: ArmError, *, idempotent: bool) -> bool:
    """Whether a request that failed with `error` may be sent once more."""
    if isinstance(error, Throttled):
        return True
    if isinstance(error, AnswerLost | Busy):
        return idempotent
    if isinstance(error, Unreachable):
        return True
    if isinstance(error, ServerTrouble):
        return idempotent and error.status in TRANSIENT_STATUSES
    if isinstance(error, BadAnswer):
        return idempotent and error.status is not None and error.status < 300
    return False


def pause(attempt: int, retry_after: float | None, random: Callable[[], float]) -> float:
    """Seconds to wait before attempt number `attempt + 1`; `attempt` counts from 1, `random` gives 0 to 1."""
    if retry_after is not None:
        return retry_after + random() * FIRST_PAUSE
    longest: float = min(FIRST_PAUSE * 2 ** min(attempt - 1, 16), LONGEST_PAUSE)
    return longest * (1 - random() / 2)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, or None: `retry-after-ms`, `x-ms-retry-after-ms`, then `Retry-After`.

    A Retry-After that is a date is measured from the answer's own `Date`, so that our clock may be wrong.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = http_date(value)
    if until is None:
        return None
    now = http_date(headers.get("date", "")) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e9 else None
