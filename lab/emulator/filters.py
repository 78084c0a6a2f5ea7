"""What the query of a list asks for: which resources, in which order. What the lab does not know of it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lab.emulator.call import Call
from lab.emulator.errors import unknown, user_error

Resource = Mapping[str, Any]
Test = Callable[[Resource], bool]

_NO_FILTERS = frozenset({"api-version", "$skip", "$skiptoken", "$top", "count", "offset"})
_VIEWS = {"activeonly": False, "archivedonly": True, "all": None}


def passing(call: Call, filters: Iterable[str] = (), *, beside: Iterable[str] = ()) -> Test:
    """A test of one resource by all that the query asks for. `filters` are those that this list knows, lower-cased;
    `beside` are names in the query that somebody else looks at.

    Raises the lab's refusal of every other name in the query, and 400 for a view that there is not.
    """
    known = frozenset(filters)
    for name in call.query:
        if name not in known | _NO_FILTERS | frozenset(beside):
            raise unknown(f"the filter '{name}' of this list")
    asked = {"listviewtype": "ActiveOnly"} if "listviewtype" in known else {}
    asked |= {name: value for name, value in call.query.items() if name in known}
    tests = [_TESTS[name](value) for name, value in asked.items()]
    return lambda resource: all(test(resource) for test in tests)


def view(call: Call) -> bool | None:
    """Whether the archived ones are wanted (True) or the others; None for all. Raises 400 for an unknown view."""
    return _archived(call.query.get("listviewtype", "ActiveOnly"))


def in_order(resources: list[dict[str, Any]], asked: str | None) -> list[dict[str, Any]]:
    """`resources` come in the order of their creation. `asked`: `createdtime desc`, which is also what None means,
    another time or the name; without `desc` it is upwards.

    Raises the lab's refusal of another order.
    """
    words = (asked or "createdtime desc").lower().split()
    if not words or words[0] not in _ORDERS or words[1:] not in ([], ["asc"], ["desc"]):
        raise unknown(f"the order '{asked}' of a list")
    key = _ORDERS[words[0]]
    upwards = resources if key is None else sorted(resources, key=key)
    return upwards[::-1] if words[1:] == ["desc"] else upwards


def has_pairs(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """A test of tags or properties by `name1,name2=value2`: each name is there, and its value where one is said."""
    wanted = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    return lambda there: all(name in there and (not equals or there[name] == value) for name, equals, value in wanted)


def _viewed(text: str) -> Test:
    archived = _archived(text)
    return lambda resource: archived is None or bool(resource["properties"]["isArchived"]) == archived


def _archived(text: str) -> bool | None:
    if text.lower() not in _VIEWS:
        words = f"listViewType must be ActiveOnly, ArchivedOnly or All, got '{text}'."
        raise user_error(400, words, inner=("BadArgument", "InvalidListViewType"))
    return _VIEWS[text.lower()]


def _pairs(where: str) -> Callable[[str], Test]:
    def make(text: str) -> Test:
        test = has_pairs(text)
        return lambda resource: test(resource["properties"][where] or {})

    return make


def _equal(name: str) -> Callable[[str], Test]:
    return lambda text: lambda resource: resource["properties"].get(name) == text


def _coded(name: str) -> Callable[[str], Test]:
    return lambda text: lambda resource: resource["properties"]["properties"].get(name) == text


def _containing(name: str) -> Callable[[str], Test]:
    return lambda text: lambda resource: text.lower() in (resource["properties"][name] or "").lower()


_TESTS: Mapping[str, Callable[[str], Test]] = {
    "listviewtype": _viewed,
    "tag": _pairs("tags"),
    "tags": _pairs("tags"),
    "$tags": _pairs("tags"),
    "properties": _pairs("properties"),
    "hash": _coded("hash_sha256"),
    "hashversion": _coded("hash_version"),
    "version": lambda text: lambda resource: resource["name"] == text,
    "stage": _equal("stage"),
    "description": _containing("description"),
}


def _changed(resource: Resource) -> str:
    return str(resource["systemData"]["lastModifiedAt"])


def _name(resource: Resource) -> str:
    return str(resource["name"]).lower()


_ORDERS: Mapping[str, Callable[[Resource], str] | None] = {
    **dict.fromkeys(("createdtime", "createdat", "createddate"), None),
    **dict.fromkeys(("modifiedtime", "updatedtime", "lastmodifiedat", "modifieddate"), _changed),
    "name": _name,
}
