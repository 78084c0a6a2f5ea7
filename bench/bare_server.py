"""What somebody would write to stand in for one GET: Starlette, TLS, one answer. `bare_server CERT KEY FILE`

Prints its port, and ends when its input ends.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main(certificate: str, key: str, answer: str) -> None:
    body = Path(answer).read_bytes()

    async def get(_: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", get)])
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, ssl_certfile=certificate, ssl_keyfile=key, lifespan="off", log_level="warning")
    )

    def until_input_ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=until_input_ends, daemon=True).start()
    sys.stdout.write(f"{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[bound])


if __name__ == "__main__":
    main(*sys.argv[1:])
