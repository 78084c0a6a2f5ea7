"""Kinds whose own client ends in a lab of this process: its answers are the service's, as far as they are known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken

from providers.arm import ArmClient, credentials
from providers.arm import client as _client  # noqa: F401 - the module below must be imported before it is changed
from tests.emulator.in_process_lab import InProcessLab


class LabTokens:
    """Signs in at the lab."""

    def __init__(self, lab: InProcessLab) -> None:
        self._lab = lab

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._lab.token(scopes[0]), 2**40)


@contextmanager
def kinds_in(lab: InProcessLab) -> Iterator[list[tuple[str, str]]]:
    """The process's client talks to the lab; a second passes with each request. (method, path) of what was asked."""
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        lab.advance(1)
        got = lab.request(request.method, str(request.url), headers=request.headers, content=request.content)
        return httpx.Response(got.status_code, headers=got.headers, content=got.content)

    arm = ArmClient(credential=LabTokens(lab), transport=httpx.MockTransport(answer), sleep=lab.advance)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules["providers.arm.client"]._clients, "public", arm)
        patched.setitem(credentials._shared, "public", LabTokens(lab))
        yield asked
    arm.close()
