"""Lists: `{value, nextLink}`, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from lab.emulator.call import Call, Reply
from lab.emulator.errors import user_error

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

PAGE = 30
"""Items of a page when the caller asks for none. Assumed."""


def page(cloud: Cloud, call: Call, kind: str, parent: str) -> Reply:
    """One page of the resources of a kind; those younger than `delayed_listing` are not in it yet."""
    size, skip = bounds(call)
    found = cloud.store.children(
        kind, parent, older_than=call.now - cloud.plays.delayed_listing, limit=size + 1, offset=skip
    )
    return paged(call, found[:size], more=len(found) > size, size=size, skip=skip)


def paged(call: Call, items: Sequence[dict[str, Any]], *, more: bool, size: int, skip: int) -> Reply:
    """The reply; `more` says that a next page has something."""
    link = None
    if more:
        kept = {name: value for name, value in call.query.items() if name not in {"$skip", "$skiptoken"}}
        link = f"https://{call.host}{quote(call.path)}?{urlencode({**kept, '$skip': str(skip + size)}, safe='$')}"
    return Reply(200, {"value": list(items), "nextLink": link})


def bounds(call: Call) -> tuple[int, int]:
    """Page size (`$top` or `count`) and how many to skip (`$skip`). Raises 400 for what is no number."""
    try:
        size = int(call.query.get("$top") or call.query.get("count") or PAGE)
        skip = int(call.query.get("$skip") or call.query.get("$skiptoken") or 0)
    except ValueError as error:
        raise user_error(400, f"A paging parameter is not a number: {error}", inner=("BadArgument",)) from error
    if size < 1 or skip < 0:
        raise user_error(400, "A paging parameter is out of range.", inner=("BadArgument",))
    return size, skip
