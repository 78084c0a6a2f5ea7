"""Entra ID, as far as one service principal needs it: metadata, signing keys, and tokens by client credentials.

It signs in by its secret, or by an assertion of another identity provider that a federated credential trusts.

Tokens are RS256 JWTs under a key that is made once per lab and kept in its home. Texts and codes of errors are those of
Microsoft's list of AADSTS errors; the wire forms are the OAuth 2.0 ones.
"""

from __future__ import annotations

import base64
import hmac
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import identity
from lab.emulator.call import Call, Reply
from lab.emulator.errors import AzureError, arm_error, unknown
from lab.emulator.federated import ASSERTION_TYPE, NO_ISSUER, AssertionRefused
from lab.emulator.federated import check as check_assertion
from lab.emulator.routes import RouteTable
from lab.emulator.timestamps import plain

if TYPE_CHECKING:
    from lab.emulator.cloud import Cloud

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
ML_AUDIENCES = ("https://ml.azure.com",)
STORAGE_AUDIENCES = ("https://storage.azure.com", f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net")
_RESOURCES = ARM_AUDIENCES + ML_AUDIENCES + STORAGE_AUDIENCES
_ISSUER = f"https://sts.windows.net/{identity.TENANT_ID}/"


class TokenKeys:
    """The lab's signing key, and the checking of tokens."""

    def __init__(self, path: Path) -> None:
        self._private = _load_or_make(path)
        self._public = self._private.public_key()
        numbers = self._public.public_numbers()
        self.modulus, self.exponent = _base64url(numbers.n), _base64url(numbers.e)
        self.key_id = _base64url(numbers.n)[:27]
        self._checked: dict[str, Mapping[str, Any]] = {}

    def sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(
            dict(claims), self._private, algorithm="RS256", headers={"kid": self.key_id, "x5t": self.key_id}
        )

    def check(self, token: str, now: float, audiences: tuple[str, ...]) -> Mapping[str, Any]:
        """The claims of a good token. Raises ARM's 401 that says what is wrong with another one."""
        claims = self._checked.get(token)
        if claims is None:
            try:
                claims = jwt.decode(
                    token,
                    self._public,
                    algorithms=["RS256"],
                    issuer=_ISSUER,
                    options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
                )
            except jwt.PyJWTError as error:
                raise unauthorized("InvalidAuthenticationToken", f"The access token is invalid: {error}.") from error
            if len(self._checked) > 1000:
                self._checked.clear()
            self._checked[token] = claims
        if now >= float(claims["exp"]):
            raise unauthorized(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{plain(float(claims['exp']))}' is earlier than "
                f"current UTC time '{plain(now)}'.",
            )
        audience = str(claims.get("aud", ""))
        if audience.rstrip("/") not in audiences:
            allowed = ",".join(f"{name}/" for name in audiences)
            raise unauthorized(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly "
                f"match with one of the allowed audiences '{allowed}'.",
            )
        return claims


def require_token(cloud: Cloud, call: Call, audiences: tuple[str, ...]) -> Mapping[str, Any]:
    """The claims of the call's bearer token. Raises 401."""
    header = call.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    return cloud.keys.check(token.strip(), call.now, audiences)


def unauthorized(code: str, message: str) -> AzureError:
    challenge = (
        f'Bearer authorization_uri="https://login.microsoftonline.com/{identity.TENANT_ID}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return arm_error(401, code, message, headers={"WWW-Authenticate": challenge})


def answer(cloud: Cloud, call: Call) -> Reply:
    found = _ROUTES.find(call.method, call.path)
    if found is None:
        raise unknown(f"{call.method} https://{call.host}{call.path}")
    return found.handler(cloud, call, found.params)


def _metadata(cloud: Cloud, call: Call, params: Mapping[str, str]) -> Reply:  # noqa: ARG001
    tenant = params["tenant"]
    if tenant.lower() not in {identity.TENANT_ID, "common", "organizations"}:
        return _refusal(call, 400, "invalid_tenant", 90002, _no_such_tenant(tenant))
    base = f"https://{call.host}/{tenant}"
    return Reply(
        200,
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": _ISSUER,
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "NA",
            "cloud_instance_name": "microsoftonline.com",
        },
    )


def _instances(cloud: Cloud, call: Call, params: Mapping[str, str]) -> Reply:  # noqa: ARG001
    return Reply(
        200,
        {
            "tenant_discovery_endpoint": f"https://{call.host}/{identity.TENANT_ID}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {
                    "preferred_network": "login.microsoftonline.com",
                    "preferred_cache": "login.windows.net",
                    "aliases": ["login.microsoftonline.com", "login.windows.net"],
                }
            ],
        },
    )


def _signing_keys(cloud: Cloud, call: Call, params: Mapping[str, str]) -> Reply:  # noqa: ARG001
    keys = cloud.keys
    key = {"kty": "RSA", "use": "sig", "kid": keys.key_id, "x5t": keys.key_id, "n": keys.modulus, "e": keys.exponent}
    return Reply(200, {"keys": [key]})


def _token(cloud: Cloud, call: Call, params: Mapping[str, str]) -> Reply:
    form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
    tenant = params["tenant"]
    if tenant.lower() != identity.TENANT_ID:
        return _refusal(call, 400, "invalid_request", 90002, _no_such_tenant(tenant))
    if form.get("grant_type") != "client_credentials":
        raise unknown(f"grant_type '{form.get('grant_type', '')}'; the lab takes client_credentials")
    client = form.get("client_id", "")
    if client.lower() != identity.CLIENT_ID:
        text = (
            f"Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the "
            "application has not been installed by the administrator of the tenant."
        )
        return _refusal(call, 400, "unauthorized_client", 700016, text)
    refused = _by_assertion(cloud, call, form) if "client_assertion" in form else _by_secret(cloud, call, form, client)
    if refused is not None:
        return refused
    scope = form.get("scope", "") or form.get("resource", "")
    audience = scope.removesuffix("/.default") if "scope" in form else scope
    if audience.rstrip("/") not in _RESOURCES:
        text = f"The resource principal named {audience} was not found in the tenant named lab."
        return _refusal(call, 400, "invalid_resource", 500011, text)
    # How the client proved who it is, as `appidacr` says it: 1 by a secret, 2 by a certificate or an assertion.
    return _issue(cloud, call, audience, client, "2" if "client_assertion" in form else "1")


def _by_secret(cloud: Cloud, call: Call, form: Mapping[str, str], client: str) -> Reply | None:
    """The refusal of a wrong secret; None for the right one."""
    if hmac.compare_digest(form.get("client_secret", "").encode(), cloud.config.client_secret.encode()):
        return None
    text = (
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
        f"not the client secret ID, for a secret added to app '{client}'."
    )
    return _refusal(call, 401, "invalid_client", 7000215, text)


def _by_assertion(cloud: Cloud, call: Call, form: Mapping[str, str]) -> Reply | None:
    """The refusal of an assertion that no federated credential trusts; None for a good one."""
    kind = form.get("client_assertion_type", "")
    if kind != ASSERTION_TYPE:
        raise unknown(f"client_assertion_type '{kind}'; the lab takes {ASSERTION_TYPE}")
    try:
        check_assertion(cloud.federated, form["client_assertion"], call.now)
    except AssertionRefused as refused:
        if refused.number == NO_ISSUER and identity.CLIENT_ID in str(refused):
            raise unknown("a client_assertion under a certificate of the app's own") from refused
        return _refusal(call, 401, "invalid_client", refused.number, str(refused))
    return None


def _issue(cloud: Cloud, call: Call, audience: str, client: str, how: str) -> Reply:
    start, seconds = int(call.now), cloud.plays.token_seconds
    claims = {
        "aud": audience,
        "iss": _ISSUER,
        "iat": start,
        "nbf": start,
        "exp": start + seconds,
        "appid": client,
        "appidacr": how,
        "idp": _ISSUER,
        "idtyp": "app",
        "oid": identity.PRINCIPAL_ID,
        "sub": identity.PRINCIPAL_ID,
        "tid": identity.TENANT_ID,
        "uti": uuid.uuid4().hex[:22],
        "ver": "1.0",
    }
    token = cloud.keys.sign(claims)
    reply = {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
    if "v2.0" not in call.path.lower():
        # The v1 endpoint writes its numbers as strings and names the resource.
        reply |= {
            "expires_in": str(seconds),
            "ext_expires_in": str(seconds),
            "expires_on": str(start + seconds),
            "not_before": str(start),
            "resource": audience,
        }
    return Reply(200, reply, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})


def _no_such_tenant(tenant: str) -> str:
    return (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant."
    )


def _refusal(call: Call, status: int, error: str, number: int, text: str) -> Reply:
    trace, correlation = str(uuid.uuid4()), call.headers.get("client-request-id", str(uuid.uuid4()))
    instant = plain(call.now)
    return Reply(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {instant}",
            "error_codes": [number],
            "timestamp": instant,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        },
    )


_ROUTES = RouteTable(
    [
        ("GET", "common/discovery/instance", _instances),
        ("GET", "{tenant}/v2.0/.well-known/openid-configuration", _metadata),
        ("GET", "{tenant}/.well-known/openid-configuration", _metadata),
        ("GET", "{tenant}/discovery/v2.0/keys", _signing_keys),
        ("GET", "{tenant}/discovery/keys", _signing_keys),
        ("POST", "{tenant}/oauth2/v2.0/token", _token),
        ("POST", "{tenant}/oauth2/token", _token),
    ]
)


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if path.exists():
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise ValueError(f"{path}: holds no RSA key; remove it and start the lab again")
        return loaded
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    fresh.replace(path)
    return made
