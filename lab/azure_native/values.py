"""Pulumi's property values as plain data, and what is secret marked as such again."""

from typing import Any

JSON = dict[str, Any]
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The wire format's mark of what is not known yet, where a text would stand."""
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the wire format's mark of a secret, not one)


class RefusedError(Exception):
    """What the stand-in or the service refuses, or what failed; its text says why in one line."""


def plain(value: Any) -> Any:
    """Without secret wrappings and null members, as azure-native does it; whole numbers are ints again."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return plain(value.get("value"))
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def conceal(value: Any, like: Any) -> Any:
    """The value with what is secret in `like` wrapped again, by name; a list that holds a secret is wrapped whole."""
    if (isinstance(like, dict) and like.get(SIGNATURE) == SECRET) or (isinstance(like, list) and SECRET in str(like)):
        return {SIGNATURE: SECRET, "value": value}
    if isinstance(value, dict) and isinstance(like, dict):
        return {name: conceal(item, like.get(name)) for name, item in value.items()}
    return value
