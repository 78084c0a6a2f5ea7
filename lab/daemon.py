"""The lab's one lasting process: Azurite as a child, the emulator over TLS, the proxy in front of both, and the page.

Started by `lab.start` as `python -m lab.daemon ROOT CACHE READY_FD`; tells its progress as JSON lines on READY_FD:
`{"phase": text}` and `{"note": text}`, then `{"ready": true}` or `{"error": text}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import uvicorn
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, LinearRetry

from lab import identity
from lab.authority import Certificates, certificates_in
from lab.azurite import Azurite, AzuriteCommand
from lab.azurite_package import ensure_azurite
from lab.emulator.app import Emulator, create_app
from lab.emulator.blob_door import is_open
from lab.emulator.blobs import AzuriteBlobs
from lab.emulator.config import EmulatorConfig
from lab.errors import LabError
from lab.home import Facts, Home, Secrets, last_ports, secrets_of, write_facts
from lab.hosts import Destination, destination
from lab.lock import try_lock
from lab.nodejs import ensure_node
from lab.page.server import PageServer, page_server
from lab.proxy import Proxy

_log = logging.getLogger("lab.daemon")
_GRACE_SECONDS = 5
_BACKLOG = 512


def main(arguments: list[str]) -> int:
    root, cache, ready = arguments
    home = Home(Path(root), Path(cache))
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("azure", "httpx", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    with os.fdopen(int(ready), "w", encoding="utf-8", buffering=1) as told:

        def tell(key: str, value: object) -> None:
            if not told.closed:
                # The start that waits for this may have been interrupted: the lab then goes on without it.
                try:
                    told.write(json.dumps({key: value}) + "\n")
                except BrokenPipeError:
                    _log.info("nobody waits for this start any more")

        try:
            _run(home, tell, told.close)
        except (LabError, OSError, AzureError, sqlite3.Error) as problem:
            _log.exception("the lab could not run")
            tell("error", " ".join(str(problem).split()))
            return 1
    return 0


def _run(home: Home, tell: Callable[[str, object], None], told_all: Callable[[], None]) -> None:
    lock = try_lock(home.daemon_lock)
    if lock is None:
        raise LabError(f"another lab holds {home.root}")
    secrets, certificates, ports = secrets_of(home), certificates_in(home.certificates), last_ports(home)
    tell("phase", "starting Azurite")
    node = ensure_node(home.cache, os.environ, home.log)
    script = ensure_azurite(home.cache, node, os.environ, home.log)
    command = AzuriteCommand(node.node, script, home.azurite_data, certificates)
    azurite = Azurite(
        command,
        home,
        storage_key=secrets.storage_key,
        environ=os.environ,
        prepare=lambda port: make_containers(port, secrets.storage_key, certificates.ca),
    )
    proxy_listener, emulator_listener = listener(ports["proxy_port"]), listener(ports["emulator_port"])
    page_listener = listener(ports["page_port"])
    try:
        azurite.start(ports["azurite_port"])
        tell("phase", "starting the emulator")
        facts = Facts(
            pid=os.getpid(),
            proxy_port=proxy_listener.getsockname()[1],
            emulator_port=emulator_listener.getsockname()[1],
            azurite_port=azurite.port,
            ca_file=str(certificates.ca),
            **asdict(secrets),
            started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            page_port=page_listener.getsockname()[1],
        )
        for text in moved_ports(ports, asdict(facts)):
            _log.warning(text)
            tell("note", text)
        config = _config(home, facts, secrets, certificates)
        app = create_app(config, blobs=AzuriteBlobs(config, azurite.serve))
        proxy = Proxy(
            proxy_listener,
            router(facts, opens=lambda host: is_open(app.cloud, host, time.time())),
            refused=lambda method, url: app.cloud.log.add_refusal(method, url, time.time()),
        )

        def ready() -> None:
            proxy.start()
            write_facts(home, facts)
            _log.info("ready: proxy %d, emulator %d, Azurite %d", proxy.port, facts.emulator_port, facts.azurite_port)
            tell("ready", True)
            told_all()

        try:
            page = page_server(app.cloud, page_listener)
            asyncio.run(_serve(_server(app, certificates), emulator_listener, page, page_listener, ready))
        finally:
            home.facts_file.unlink(missing_ok=True)
            proxy.stop()
    finally:
        azurite.stop()
        _log.info("ended")


def listener(wanted_port: int) -> socket.socket:
    """A socket listening on 127.0.0.1: on the wanted port, else (taken, or 0) on one of the system's choice."""
    for port in (wanted_port, 0):
        # asyncio sets TCP_NODELAY only on sockets that say TCP themselves; without it an answer takes 40 ms.
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
            # At once: two sockets with SO_REUSEADDR may be bound to one port as long as neither listens.
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            if port == 0:
                raise
        else:
            return bound
    raise AssertionError("unreachable: port 0 returns or raises")


def moved_ports(before: Mapping[str, int], now: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each port that this lab had before and that somebody else has taken meanwhile."""
    for name, wanted in before.items():
        if wanted and now[name] != wanted:
            what = name.removesuffix("_port").replace("azurite", "Azurite")
            yield (
                f"port {wanted} ({what}) is taken by another program; it is {now[name]} now: shells that evaluated "
                "`python -m lab env` must do so again"
            )


def router(facts: Facts, *, opens: Callable[[str], bool | None]) -> Callable[[str, int], int | None]:
    """Where the proxy leads to, on this machine.

    `opens`: whether a blob host is open to the lab's principal, None where there is no such account. One that is not
    open ends at the emulator, which says what Azure says.
    """
    ports = {Destination.EMULATOR: facts.emulator_port, Destination.BLOBS: facts.azurite_port}

    def route(host: str, port: int) -> int | None:
        end = destination(host, port)
        if end is Destination.BLOBS:
            open_now = opens(host)
            end = None if open_now is None else Destination.BLOBS if open_now else Destination.EMULATOR
        return None if end is None else ports[end]

    return route


def make_containers(azurite_port: int, storage_key: str, ca_file: Path) -> None:
    """Make the containers that a workspace's storage account has from its birth, where they are not there yet."""
    with BlobServiceClient(
        f"https://127.0.0.1:{azurite_port}/{identity.STORAGE_ACCOUNT}",
        credential=storage_key,
        connection_verify=str(ca_file),
        # Loopback: a proxy of the environment has no business here, and an empty map is one that none matches.
        proxies={},
        use_env_settings=False,
        # Short of the client's own 15 s between tries: an Azurite that died meanwhile is started again after this.
        retry_policy=LinearRetry(backoff=0, retry_total=1, random_jitter_range=0),
    ) as blobs:
        for name in (identity.DEFAULT_CONTAINER, identity.LOGS_CONTAINER):
            try:
                blobs.create_container(name)
            except ResourceExistsError:
                _log.info("container %s is there", name)


def _config(home: Home, facts: Facts, secrets: Secrets, certificates: Certificates) -> EmulatorConfig:
    return EmulatorConfig(
        home=home.root,
        cache=home.cache,
        client_secret=secrets.client_secret,
        storage_key=secrets.storage_key,
        control_token=secrets.control_token,
        blob_endpoint=f"https://127.0.0.1:{facts.azurite_port}",
        ca_file=certificates.ca,
        proxy_port=facts.proxy_port,
    )


def _server(app: Emulator, certificates: Certificates) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ssl_certfile=certificates.server,
            ssl_keyfile=certificates.key,
            lifespan="on",
            log_config=None,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            backlog=_BACKLOG,
            server_header=False,
        )
    )


async def _serve(
    server: uvicorn.Server,
    bound: socket.socket,
    page: PageServer,
    page_bound: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once requests are answered."""
    # uvicorn raises the signal anew after its own orderly end; ours comes after that, so it must not kill.
    signal.signal(signal.SIGTERM, _ended_by)
    signal.signal(signal.SIGINT, _ended_by)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.wait({serving}, timeout=0.01)
    showing = None
    if server.started:
        showing = asyncio.create_task(page.serve(sockets=[page_bound]))
        ready()
    await serving
    if showing is not None:
        page.should_exit = True
        await showing
    if not server.started:
        raise LabError("the emulator did not start; its log says why")


def _ended_by(number: int, _: object) -> None:
    _log.info("ended by %s", signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
