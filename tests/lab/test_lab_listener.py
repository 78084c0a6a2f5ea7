"""The sockets that the daemon listens on."""

from __future__ import annotations

import asyncio
import socket

from lab.daemon import listener


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
