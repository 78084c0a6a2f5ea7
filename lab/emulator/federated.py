"""Federated credentials: tokens of another identity provider by which the lab's service principal signs in.

As Entra ID's `federatedIdentityCredentials`: issuer, subject and audiences, compared letter by letter. Entra ID fetches
the provider's keys from its discovery document; the lab reaches nobody, so it is told them. Codes and texts are those
of public reports; their status is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from lab.emulator.timestamps import zulu

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NO_ISSUER = 700211
_SKEW = 300.0
"""Seconds by which clocks may differ, as Entra ID allows."""
_COMPARE = (
    "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. "
    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
)


class AssertionRefused(Exception):
    """`number` is that of AADSTS."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True)
class FederatedCredential:
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    keys: Mapping[str, jwt.PyJWK]
    """The issuer's public keys by `kid`."""
    document: Mapping[str, Any]
    """As it was given."""


def read_credentials(given: object) -> tuple[FederatedCredential, ...]:
    """A list of `{"issuer", "subject", "audiences": [...], "keys": [JSON Web Keys]}`. Raises ValueError."""
    if not isinstance(given, list):
        raise ValueError("federated credentials: must be a list of objects")
    return tuple(_credential(each) for each in given)


def check(credentials: Sequence[FederatedCredential], assertion: str, now: float) -> None:
    """Raises AssertionRefused unless one of the credentials trusts this assertion now."""
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise AssertionRefused(50027, f"JWT token is invalid or malformed: {error}.") from error
    issuer = str(claims.get("iss", ""))
    known = [each for each in credentials if each.issuer == issuer]
    if not known:
        raise AssertionRefused(NO_ISSUER, _no_match("issuer", issuer))
    kid = str(header.get("kid"))
    key = next((each.keys[kid] for each in known if kid in each.keys), None)
    if key is None or not _signed(assertion, key):
        raise AssertionRefused(700027, "Client assertion failed signature validation.")
    _check_time(claims, now)
    told = claims.get("aud")
    audiences = [told] if isinstance(told, str) else list(told or [])
    known = [each for each in known if set(each.audiences) & set(audiences)]
    if not known:
        raise AssertionRefused(700212, _no_match("audience", " ".join(map(str, audiences))))
    subject = str(claims.get("sub", ""))
    if subject not in {each.subject for each in known}:
        raise AssertionRefused(700213, _no_match("subject", subject))


def _credential(given: object) -> FederatedCredential:
    if not isinstance(given, dict):
        raise ValueError("federated credentials: must be a list of objects")
    unfit = sorted(given.keys() ^ {"issuer", "subject", "audiences", "keys"})
    if unfit:
        raise ValueError(f"a federated credential has issuer, subject, audiences and keys; look at {', '.join(unfit)}")
    try:
        keys = {str(each["kid"]): jwt.PyJWK(each) for each in given["keys"]}
    except (jwt.PyJWTError, KeyError, TypeError) as error:
        raise ValueError(f"keys: must be public JSON Web Keys with `kid`: {error}") from error
    if not isinstance(given["audiences"], list):
        raise ValueError("audiences: must be a list of texts")
    return FederatedCredential(
        str(given["issuer"]), str(given["subject"]), tuple(map(str, given["audiences"])), keys, dict(given)
    )


def _signed(assertion: str, key: jwt.PyJWK) -> bool:
    try:
        jwt.decode(
            assertion,
            key,
            algorithms=["RS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        return False
    return True


def _check_time(claims: Mapping[str, Any], now: float) -> None:
    try:
        ends = float(claims["exp"])
        starts = float(claims.get("nbf", claims.get("iat", now)))
    except (KeyError, TypeError, ValueError) as error:
        raise AssertionRefused(50027, "JWT token is invalid or malformed: it has no 'exp'.") from error
    if not starts - _SKEW <= now <= ends + _SKEW:
        raise AssertionRefused(
            700024,
            f"Client assertion is not within its valid time range. Current time: {zulu(now)}, assertion valid from "
            f"{zulu(starts)}, expiry time of assertion {zulu(ends)}. Review the documentation at "
            "https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
        )


def _no_match(what: str, value: str) -> str:
    return f"No matching federated identity record found for presented assertion {what} '{value}'. {_COMPARE}"
