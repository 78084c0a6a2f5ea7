"""Instants as the service writes them."""

from __future__ import annotations

from datetime import datetime, timezone


def seven_digits(seconds: float) -> str:
    """`2023-12-02T02:19:42.3435775+00:00`: most of ARM; the seventh digit is always 0 here."""
    return _micro(seconds) + "0+00:00"


def zulu(seconds: float) -> str:
    """`2023-11-27T21:03:06.8266740Z`: workspaces and run history."""
    return _micro(seconds) + "0Z"


def plain(seconds: float) -> str:
    """`2024-01-01 10:00:00Z`: Entra ID's errors."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def compact(seconds: float) -> str:
    """`20231202T021942Z`: routing request ids."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def _micro(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
