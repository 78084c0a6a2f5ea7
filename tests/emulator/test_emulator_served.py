"""The emulator behind a real server: its life from start to stop, and a connection that really drops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from lab.emulator.app import create_app
from lab.emulator.config import EmulatorConfig
from tests.emulator.in_process_lab import CONTROL, SECRET, CountedBlobs


@pytest.fixture
def served(tmp_path: Path, token_key: bytes) -> Iterator[httpx.Client]:
    """A client of an emulator on a free port, with the control token."""
    (tmp_path / "entra.pem").write_bytes(token_key)
    config = EmulatorConfig(
        home=tmp_path,
        cache=tmp_path / "cache",
        client_secret=SECRET,
        storage_key="a2V5",
        control_token=CONTROL,
        blob_endpoint="https://127.0.0.1:1",
        ca_file=tmp_path / "ca.pem",
        proxy_port=2,
    )
    app = create_app(config, blobs=CountedBlobs())
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
    bound = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {CONTROL}"}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield client
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def test_a_served_emulator_is_healthy_and_ends_in_order(served: httpx.Client) -> None:
    assert served.get("/_lab/health").json()["healthy"] is True


def test_a_scripted_drop_closes_the_socket_without_a_word(served: httpx.Client) -> None:
    served.put("/_lab/faults", json=[{"action": "drop", "match": {"host": "management.azure.com"}}])

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        served.get("/subscriptions", headers={"Host": "management.azure.com"})

    assert served.get("/subscriptions", headers={"Host": "management.azure.com"}).status_code == 401
