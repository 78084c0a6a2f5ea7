"""This machine's clock beside that of whoever answered: signatures and certificates go by both.

Nothing here waits or decides by what clocks say: deadlines are monotonic, and ages are told by the service's own dates.
What is refused because of a clock must say so, since the service's words often do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

_TOLERATED = 300.0
"""Seconds by which clocks may differ: Entra ID allows 5 minutes, blob storage 15."""
_ABOUT_TIME = re.compile(
    r"Request date header[^<\n]*|Signature (?:fields )?not valid [^<\n]*|Signature did not match. .*expir[^<\n]*", re.I
)
"""What blob storage says of it, in `AuthenticationErrorDetail`; its other details quote what was signed."""


def http_date(value: str) -> datetime | None:
    """The moment that a header names, None for what is no date."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def difference(headers: Mapping[str, str], status: int | None) -> str:
    """For the end of a refusal's message: how far the clocks are apart, empty where that is not the matter."""
    if status not in (401, 403):
        return ""
    theirs = http_date(headers.get("date") or headers.get("Date") or "")
    if theirs is None:
        return ""
    seconds = (datetime.now(timezone.utc) - theirs).total_seconds()
    if abs(seconds) <= _TOLERATED:
        return ""
    return f"; this machine's clock is {_span(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} the service's"


def about_time(detail: str) -> str:
    """The part of a refusal's details that is about time, empty where there is none."""
    found = _ABOUT_TIME.search(detail)
    return found[0].strip() if found else ""


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} days"
