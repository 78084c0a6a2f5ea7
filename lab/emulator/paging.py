"""Lists: `{value, nextLink}`, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from lab.emulator.call import Call, Reply
from lab.emulator.errors import user_error
from lab.emulator.filters import passing

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

PAGE, LARGEST = 30, 1000
"""Items of a page when the caller asks for no number, and at most. Assumed."""
_SKIPS = ("$skip", "$skiptoken", "offset")
_MOST_SKIPPED = 2**31 - 1


def page(cloud: Cloud, call: Call, kind: str, parent: str) -> Reply:
    """One page of the resources of a kind; those younger than `delayed_listing` are not in it yet.

    Raises the lab's refusal of every filter.
    """
    passing(call)
    size, skip = bounds(call)
    found = cloud.store.children(
        kind, parent, older_than=call.now - cloud.plays.delayed_listing, limit=size + 1, offset=skip
    )
    return paged(call, found[:size], more=len(found) > size, size=size, skip=skip)


def page_of(call: Call, found: Iterable[dict[str, Any]]) -> Reply:
    """One page of these, no more of them looked at than it needs."""
    size, skip = bounds(call)
    items = list(islice(found, skip, skip + size + 1))
    return paged(call, items[:size], more=len(items) > size, size=size, skip=skip)


def paged(call: Call, items: Sequence[dict[str, Any]], *, more: bool, size: int, skip: int) -> Reply:
    """The reply; `more` says that a next page has something."""
    link = None
    if more:
        kept = {name: value for name, value in call.query.items() if name not in _SKIPS}
        link = f"https://{call.host}{quote(call.path)}?{urlencode({**kept, '$skip': str(skip + size)}, safe='$')}"
    return Reply(200, {"value": list(items), "nextLink": link})


def bounds(call: Call) -> tuple[int, int]:
    """Page size (`$top` or `count`) and how many to skip (`$skip` or `offset`). Raises 400 for what is no number."""
    try:
        size = int(call.query.get("$top") or call.query.get("count") or PAGE)
        skip = int(next((call.query[name] for name in _SKIPS if call.query.get(name)), 0))
    except ValueError as error:
        raise user_error(400, f"A paging parameter is not a number: {error}", inner=("BadArgument",)) from error
    if size < 1 or not 0 <= skip <= _MOST_SKIPPED:
        raise user_error(400, "A paging parameter is out of range.", inner=("BadArgument",))
    return min(size, LARGEST), skip
