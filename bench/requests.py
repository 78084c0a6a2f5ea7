"""GET of a batch endpoint, answered by the emulator and by a bare server, over kept connections with TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from bench.figure import Figure, Runs
from bench.memory import peak_mib
from lab import identity
from lab.testing import LabUnderTest

CONNECTIONS = (1, 64)
SECONDS = 2.0
_HOST = "management.azure.com"


def figures(lab: LabUnderTest, folder: Path, runs: int) -> list[Figure]:
    """Requests per second with each number of connections, and the memory that both servers take."""
    facts = lab.facts
    trusting = ssl.create_default_context(cafile=facts.ca_file)
    path = f"{lab.status()['endpoints'][0]}?api-version=2025-12-01"
    headers = {"Host": _HOST, "Authorization": f"Bearer {token(lab, trusting, f'https://{_HOST}')}"}
    answer = httpx.get(
        f"https://127.0.0.1:{facts.emulator_port}{path}", headers=headers, verify=trusting, trust_env=False
    )
    answer.raise_for_status()
    found = []
    with _bare_server(lab, folder, answer.content) as (bare_pid, bare_port):
        ports = {"emulator": facts.emulator_port, "bare": bare_port}
        for connections in CONNECTIONS:
            rates: dict[str, list[float]] = {name: [] for name in ports}
            for _ in range(runs):
                for name, port in ports.items():
                    rates[name].append(asyncio.run(rate(port, trusting, path, headers, connections)))
            what = f"GET endpoint, {connections} connection{'s' if connections > 1 else ''}"
            ours, theirs = (Runs(tuple(rates[name]), "/s") for name in ports)
            found.append(Figure(what, ours, "Starlette, one fixed answer", theirs))
        memory = (Runs((peak_mib(psutil.Process(pid)),), "MiB") for pid in (facts.pid, bare_pid))
        found.append(
            Figure("memory: emulator, with all that", next(memory), "Starlette, one fixed answer", next(memory))
        )
    return found


async def rate(port: int, trusting: ssl.SSLContext, path: str, headers: Mapping[str, str], connections: int) -> float:
    """Answers per second; every connection asks again as soon as it is answered."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()
    opened = [await asyncio.open_connection("127.0.0.1", port, ssl=trusting) for _ in range(connections)]
    for reader, writer in opened:
        await _ask(reader, writer, request)
    began = time.perf_counter()
    counts = await asyncio.gather(*(_ask_until(began + SECONDS, *each, request) for each in opened))
    took = time.perf_counter() - began
    for _, writer in opened:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in opened))
    return sum(counts) / took


async def _ask_until(end: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    count = 0
    while time.perf_counter() < end:
        await _ask(reader, writer, request)
        count += 1
    return count


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200 "):
        raise ValueError(f"the answer was {head.splitlines()[0].decode()}")
    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))


def token(lab: LabUnderTest, trusting: ssl.SSLContext, audience: str) -> str:
    """An access token of the lab's one principal."""
    facts = lab.facts
    answer = httpx.post(
        f"https://127.0.0.1:{facts.emulator_port}/{identity.TENANT_ID}/oauth2/v2.0/token",
        headers={"Host": "login.microsoftonline.com"},
        data={
            "grant_type": "client_credentials",
            "client_id": identity.CLIENT_ID,
            "client_secret": facts.client_secret,
            "scope": f"{audience}/.default",
        },
        verify=trusting,
        trust_env=False,
    )
    return str(answer.raise_for_status().json()["access_token"])


@contextmanager
def _bare_server(lab: LabUnderTest, folder: Path, answer: bytes) -> Iterator[tuple[int, int]]:
    """Its pid and port. It has the lab's own certificate."""
    from lab.authority import certificates_in

    certificates = certificates_in(lab.paths.certificates)
    file = folder / "answer.json"
    file.write_bytes(answer)
    command = [sys.executable, "-m", "bench.bare_server", str(certificates.server), str(certificates.key), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin and process.stdout  # noqa: S101  # both were asked for
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.stdin.close()
