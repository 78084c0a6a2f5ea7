"""The page in front of an emulator without sockets, asked as a browser asks."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from lab.page.server import page_app
from tests.emulator.in_process_lab import InProcessLab

PORT = 8900
ADDRESS = f"http://127.0.0.1:{PORT}"


class PageUnderTest:
    def __init__(self, lab: InProcessLab) -> None:
        self.lab = lab
        self._app = page_app(lab.app.cloud, PORT)

    def request(self, method: str, path: str, **headers: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers) as client:
                return await client.request(method, path)

        return asyncio.run(ask())

    def read(self, path: str) -> Any:
        reply = self.request("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()
