"""Blob storage as long as there is no role, or a new one does not work yet: what the proxy leads here, not to Azurite.

Azurite knows no roles. Without one, and while `role_assignment_seconds` runs, requests with an Entra ID token get what
the real service answers until a role assignment has spread; every connection is closed, so that the next one may find
Azurite.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lab.emulator import storage_accounts
from lab.emulator.call import Call, Reply
from lab.hosts import blob_account

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

_MISMATCH = "This request is not authorized to perform this operation using this permission."
_BUSY = "The lab plays a role assignment that does not work yet; requests without an Entra ID token wait meanwhile."


def is_open(cloud: Cloud, host: str, now: float) -> bool | None:
    """Whether the tokens of the lab's principal open the blobs of a host now; None where the lab has no such account.

    Called in the proxy's thread, for each new connection to blob storage.
    """
    return storage_accounts.opens(cloud, blob_account(host), now)


def answer(cloud: Cloud, call: Call) -> Reply:
    """403 for a token while the play runs; else 503, which clients try again, on a new connection."""
    with_token = call.headers.get("authorization", "").lower().startswith("bearer ")
    if with_token and not is_open(cloud, call.host, call.now):
        return _refusal(403, "AuthorizationPermissionMismatch", _MISMATCH, call.now)
    return _refusal(503, "ServerBusy", _BUSY, call.now)


def _refusal(status: int, code: str, message: str, now: float) -> Reply:
    instant = datetime.fromtimestamp(now, timezone.utc).isoformat()
    text = f"{message}\nRequestId:{uuid.uuid4()}\nTime:{instant}"
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>'
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code, "Connection": "close"}
    return Reply(status, body.encode(), headers)
