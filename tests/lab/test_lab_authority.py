"""The lab's certificates: what they vouch for, what they cannot, how long, and who may read the key."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lab.authority import (
    LIFETIME,
    Certificates,
    authority_certificate,
    certificate_pem,
    ensure_certificates,
    expires,
    is_fresh,
    key_pem,
    server_certificate,
)
from lab.daemon import listener

NOW = datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("certificates"))


@contextmanager
def _tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """A TLS server on 127.0.0.1 that answers each client `ok` and closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    bound = listener(0)

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = bound.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield bound.getsockname()[1]
    finally:
        bound.shutdown(socket.SHUT_RDWR)
        bound.close()
        thread.join(5)


def _handshake(ca: Path, port: int, name: str) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 and newer ask for by themselves
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(b"x")
        assert connection.recv(4) == b"HTTP"


NAMES = [
    "management.azure.com",
    "login.microsoftonline.com",
    "login.windows.net",
    "ml.azure.com",
    "eastus.api.azureml.ms",
    "digits.eastus.inference.ml.azure.com",
    "labstore.blob.core.windows.net",
    "localhost",
    "127.0.0.1",
]


@pytest.mark.parametrize("name", NAMES)
def test_python_trusts_each_name_strictly(files: Certificates, name: str) -> None:
    with _tls_server(files.server, files.key) as port:
        _handshake(files.ca, port, name)


@pytest.mark.parametrize("name", ["example.com", "example.org", "a.b.eastus.inference.ml.azure.com"])
def test_the_certificate_is_for_no_other_name(files: Certificates, name: str) -> None:
    with _tls_server(files.server, files.key) as port, pytest.raises(ssl.SSLCertVerificationError):
        _handshake(files.ca, port, name)


@pytest.fixture(scope="module")
def leaked(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority whose key somebody used for other names than the lab's."""
    folder = tmp_path_factory.mktemp("leaked")
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = authority_certificate(ca_key, NOW)
    server = server_certificate(key, ca, ca_key, NOW, hosts=["example.com"], address=ipaddress.IPv4Address("10.0.0.1"))
    files.ca.write_text(certificate_pem(ca), encoding="ascii")
    files.server.write_text(certificate_pem(server), encoding="ascii")
    files.key.write_text(key_pem(key), encoding="ascii")
    return files


def _curl(ca: Path, port: int, name: str) -> list[str]:
    there = f"{name}:443:127.0.0.1:{port}"
    return ["curl", "-sS", "--noproxy", "*", "--connect-to", there, "--cacert", str(ca), f"https://{name}/"]


def _node(ca: Path, port: int, name: str) -> list[str]:
    script = (
        "const fs = require('fs'), tls = require('tls'), [ca, port, name] = process.argv.slice(1);"
        "const c = tls.connect({host: '127.0.0.1', port, servername: name, ca: fs.readFileSync(ca)},"
        " () => { console.log('ok'); c.end(); });"
        "c.on('error', e => { console.error(e.code + ' ' + e.message); process.exit(1); });"
    )
    return ["node", "-e", script, str(ca), str(port), name]


def _python(ca: Path, port: int, name: str) -> list[str]:
    script = (
        "import socket, ssl, sys; ca, port, name = sys.argv[1:];"
        "s = ssl.create_default_context(cafile=ca).wrap_socket("
        "socket.create_connection(('127.0.0.1', int(port))), server_hostname=name);"
        "s.send(b'x'); print('ok')"
    )
    return [sys.executable, "-c", script, str(ca), str(port), name]


@pytest.mark.parametrize("client", [_python, _curl, _node], ids=["python", "curl", "node"])
def test_each_client_trusts_azures_names_and_none_that_the_constraints_forbid(
    client: Callable[[Path, int, str], list[str]], files: Certificates, leaked: Certificates
) -> None:
    """Name constraints hold even against a signature by the authority's own key."""
    if which(client(files.ca, 0, "x")[0]) is None:
        pytest.skip("this client is not on this machine")
    with _tls_server(files.server, files.key) as port:
        good = subprocess.run(
            client(files.ca, port, NAMES[0]), capture_output=True, text=True, timeout=120, check=False
        )
    with _tls_server(leaked.server, leaked.key) as port:
        command = client(leaked.ca, port, "example.com")
        bad = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (good.returncode, good.stdout.strip()) == (0, "ok"), good.stderr
    assert bad.returncode != 0
    assert "permitted subtree" in bad.stderr or "PERMITTED" in bad.stderr


def test_only_the_owner_reads_the_key_and_the_authoritys_key_is_nowhere(files: Certificates) -> None:
    keys = [file for file in files.key.parent.iterdir() if "PRIVATE KEY" in file.read_text(encoding="ascii")]
    assert keys == [files.key]
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_the_ca_file_holds_the_labs_authority_alone(files: Certificates) -> None:
    assert files.ca.read_text(encoding="ascii").count("BEGIN CERTIFICATE") == 1


def test_a_second_call_keeps_the_certificates(tmp_path: Path) -> None:
    before = ensure_certificates(tmp_path, NOW).server.read_bytes()
    assert ensure_certificates(tmp_path, NOW + timedelta(days=14)).server.read_bytes() == before


def test_past_half_their_life_they_are_renewed(tmp_path: Path) -> None:
    before = expires(ensure_certificates(tmp_path, NOW))
    after = expires(ensure_certificates(tmp_path, NOW + timedelta(days=16)))
    assert after - before == timedelta(days=16)
    assert after - (NOW + timedelta(days=16)) <= LIFETIME


@pytest.mark.parametrize("damaged", ["ca.pem", "server.pem", "server.key"])
def test_a_damaged_file_means_new_certificates(tmp_path: Path, damaged: str) -> None:
    files = ensure_certificates(tmp_path, NOW)
    (tmp_path / damaged).write_text("x", encoding="ascii")
    assert not is_fresh(files, NOW)
    assert is_fresh(ensure_certificates(tmp_path, NOW), NOW)


def test_files_of_two_authorities_do_not_pass_for_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = ensure_certificates(tmp_path / "a"), ensure_certificates(tmp_path / "b")
    assert not is_fresh(Certificates(first.ca, second.server, second.key), datetime.now(timezone.utc))
