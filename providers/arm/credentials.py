"""Who we are: one credential per cloud and process, and its tokens. The only reader of environment variables."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.identity import DefaultAzureCredential

from .clouds import Cloud
from .errors import Unauthorized, Unreachable

_EARLY = 300.0
"""Seconds before its end at which a token is replaced."""


class SharedCredential:
    """DefaultAzureCredential, made at first use, and made again when the cloud refuses its tokens.

    azure-identity keeps tokens in the credential and hands them out until they expire; the one way past that cache that
    all of its credentials have is a new credential.
    """

    def __init__(self, make: Callable[[], TokenCredential]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: TokenCredential | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            made = self._made
        return made.get_token(*scopes, **options)

    def renew(self) -> None:
        """Forget the credential, and with it every token that it keeps."""
        with self._lock:
            self._made = None

    def __repr__(self) -> str:
        return "SharedCredential()"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not for state: it cannot be pickled")


class Tokens:
    """Tokens by audience, from one credential: kept until shortly before they expire, or until one is refused.

    Safe between threads: one thread asks for a token, the others wait for its answer.
    """

    def __init__(self, credential: TokenCredential, clock: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, AccessToken] = {}

    def get(self, audience: str) -> str:
        """A token for `audience`. Raises Unauthorized when nobody signs us in."""
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or kept.expires_on - _EARLY <= self._clock():
                kept = self._kept[audience] = self._ask(audience)
            return kept.token

    def after_refusal(self, audience: str, refused: str, claims: str | None = None) -> str:
        """A token for `audience` other than `refused`, which was answered with 401.

        `claims` is what the service's challenge demands of the new one (base64 decoded), where it does.
        """
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or kept.token == refused:
                renew = getattr(self._credential, "renew", None)
                if renew is not None:
                    renew()
                kept = self._kept[audience] = self._ask(audience, claims)
            return kept.token

    def _ask(self, audience: str, claims: str | None = None) -> AccessToken:
        scope = f"{audience.rstrip('/')}/.default"
        try:
            return self._credential.get_token(scope, claims=claims) if claims else self._credential.get_token(scope)
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Unreachable(
                f"could not sign in for {audience}, no connection: {error}; check the network, HTTPS_PROXY and the "
                "certificates (REQUESTS_CA_BUNDLE)",
                code=type(error).__name__,
            ) from error
        except (AzureError, ValueError) as error:  # ValueError: azure-identity's word for an ill-formed tenant id
            raise Unauthorized(
                f"could not sign in for {audience}: {str(error).strip() or type(error).__name__}; run `az login`, "
                "or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal",
                code=type(error).__name__,
            ) from error

    def __repr__(self) -> str:
        return f"Tokens({sorted(self._kept)})"

    def __reduce__(self) -> str:
        raise TypeError("tokens are not for state: they cannot be pickled")


_shared: dict[str, SharedCredential] = {}
_shared_lock = threading.Lock()


def credential(cloud: Cloud) -> TokenCredential:
    """The process's credential for `cloud`: a service principal by AZURE_TENANT_ID, AZURE_CLIENT_ID and
    AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH), else workload identity, managed identity, `az login`,
    `azd auth login`.

    With a service principal in the environment nothing else is tried: one wrong secret is one clear error, at once.
    """
    with _shared_lock:
        if cloud.name not in _shared:
            _shared[cloud.name] = SharedCredential(lambda: default_credential(cloud, os.environ))
        return _shared[cloud.name]


def default_credential(cloud: Cloud, environment: Mapping[str, str]) -> TokenCredential:
    """A new DefaultAzureCredential without those that are interactive, or that only probe when the answer is given."""
    by_environment = has_service_principal(environment)
    return DefaultAzureCredential(
        authority=cloud.authority,
        exclude_workload_identity_credential=by_environment,
        exclude_managed_identity_credential=by_environment,
        exclude_cli_credential=by_environment,
        exclude_developer_cli_credential=by_environment,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_powershell_credential=True,
        exclude_interactive_browser_credential=True,
        exclude_broker_credential=True,
    )


def has_service_principal(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a service principal completely."""
    return bool(
        environment.get("AZURE_TENANT_ID")
        and environment.get("AZURE_CLIENT_ID")
        and (environment.get("AZURE_CLIENT_SECRET") or environment.get("AZURE_CLIENT_CERTIFICATE_PATH"))
    )
