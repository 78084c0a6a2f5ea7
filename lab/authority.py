"""The lab's certificates: an authority that signs one certificate and is then forgotten.

The authority's key is never written: nobody can make it vouch for another name later. Its name constraints
(RFC 5280, 4.2.1.10) keep it to Azure's names used here and to this machine. Nothing enters a system store.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.home import write_private
from lab.hosts import CERTIFICATE_NAMES, PERMITTED_DOMAINS

LIFETIME = timedelta(days=30)
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Certificates:
    """Files of one lab, PEM."""

    ca: Path
    """The lab's authority alone: with it no real host can be verified by accident."""
    server: Path
    key: Path
    """Key of the server certificate, 0600."""


def certificates_in(folder: Path) -> Certificates:
    return Certificates(ca=folder / "ca.pem", server=folder / "server.pem", key=folder / "server.key")


def ensure_certificates(folder: Path, now: datetime | None = None) -> Certificates:
    """The certificates in `folder`, made anew when missing, damaged, for other names, or past half their life."""
    now = now or datetime.now(timezone.utc)
    files = certificates_in(folder)
    if not is_fresh(files, now):
        _issue(files, now)
    return files


def is_fresh(files: Certificates, now: datetime) -> bool:
    """Whether the files fit each other and today's names, with at least half of their life left."""
    try:
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        server = x509.load_pem_x509_certificate(files.server.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
        server.verify_directly_issued_by(ca)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return False
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        key.public_key() == server.public_key()
        and tuple(names.get_values_for_type(x509.DNSName)) == CERTIFICATE_NAMES
        and server.not_valid_before_utc <= now
        and server.not_valid_after_utc - now >= LIFETIME / 2
    )


def expires(files: Certificates) -> datetime:
    """When the server certificate ends, UTC."""
    return x509.load_pem_x509_certificate(files.server.read_bytes()).not_valid_after_utc


def _issue(files: Certificates, now: datetime) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = authority_certificate(ca_key, now)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = server_certificate(server_key, ca, ca_key, now)
    write_private(files.key, key_pem(server_key))
    write_private(files.server, certificate_pem(server))
    write_private(files.ca, certificate_pem(ca))


def authority_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """An authority that can vouch for `PERMITTED_DOMAINS` and 127.0.0.1 alone, whoever holds its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Azure lab on this machine, not Azure")])
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in PERMITTED_DOMAINS]
    permitted.append(x509.IPAddress(ipaddress.ip_network(f"{_LOOPBACK}/32")))
    return (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def server_certificate(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    *,
    hosts: Sequence[str] = CERTIFICATE_NAMES,
    address: ipaddress.IPv4Address = _LOOPBACK,
) -> x509.Certificate:
    """A server's certificate for `hosts` and `address`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Azure lab server")])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    return (
        _builder(name, ca.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, x509.IPAddress(address)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
