"""The sockets that the daemon listens on, and the one that it asks on its own machine."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab import identity
from lab.daemon import listener, make_containers
from tests.scoring.blob_service import blob_service


def test_an_accepted_connection_sends_at_once() -> None:
    """With Nagle's algorithm on, the emulator answered a kept connection 22 times a second, without it 700 times."""

    async def accepted_option() -> int:
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        bound = listener(0)
        async with await asyncio.start_server(connected, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            option = await asked
            writer.close()
            await writer.wait_closed()
            return option

    assert asyncio.run(accepted_option()) != 0


def test_what_lies_on_this_machine_is_asked_past_any_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    with blob_service(tmp_path) as service:
        port = urlsplit(service.endpoint).port
        make_containers(int(str(port)), "a2V5", Path(service.ca_file))

    assert {container for container, _ in service.blobs} == {identity.DEFAULT_CONTAINER, identity.LOGS_CONTAINER}
