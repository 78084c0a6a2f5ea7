"""Who we are: one credential per cloud and process, and its tokens. The only reader of environment variables.

Which credential, the first of these that the environment asks for completely:
1. a service principal with a secret or certificate: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET or
   AZURE_CLIENT_CERTIFICATE_PATH;
2. GitHub Actions with OpenID Connect: AZURE_TENANT_ID, AZURE_CLIENT_ID, and a job with `id-token: write`;
3. Azure Pipelines with workload identity federation: AZURESUBSCRIPTION_TENANT_ID, AZURESUBSCRIPTION_CLIENT_ID and
   AZURESUBSCRIPTION_SERVICE_CONNECTION_ID (which its Azure tasks set), SYSTEM_OIDCREQUESTURI, and SYSTEM_ACCESSTOKEN,
   which the pipeline must hand on;
4. workload identity of Kubernetes: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE;
5. DefaultAzureCredential: managed identity, `az login`, `azd auth login`.

The first four are taken alone: what they say when they fail is the one clear error. DefaultAzureCredential knows 1 and
4, and of 2 and 3 nothing: with `azure/login` it would ask the `az` command line, whose assertion ends after five
minutes. Each of 2 to 4 signs in with a fresh assertion every time, so that no wait is too long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

from . import assertions
from .clouds import Cloud
from .errors import Unauthorized, Unreachable

_EARLY = 300.0
"""Seconds before its end at which a token is replaced."""


_AT_LEAST = 60.0
"""Seconds for which a new token is used, whatever its end: managed identities tell it by another clock than ours."""


class SharedCredential:
    """The credential of this process, made at first use, and made again when the cloud refuses its tokens.

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
        self._until: dict[str, float] = {}
        # When a token is to be replaced, on our clock.

    def get(self, audience: str) -> str:
        """A token for `audience`. Raises Unauthorized when nobody signs us in."""
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or self._until[audience] <= self._clock():
                kept = self._keep(audience, self._ask(audience))
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
                kept = self._keep(audience, self._ask(audience, claims))
            return kept.token

    def _keep(self, audience: str, token: AccessToken) -> AccessToken:
        """A token that is at its end the moment it is given tells of a clock that is ahead: it is used for a while.

        One that is really at its end is answered with a 401, and replaced then.
        """
        self._kept[audience] = token
        self._until[audience] = max(token.expires_on - _EARLY, self._clock() + _AT_LEAST)
        return token

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
                f"could not sign in for {audience}: {str(error).strip() or type(error).__name__}; {advice(os.environ)}",
                code=type(error).__name__,
            ) from error

    def __repr__(self) -> str:
        return f"Tokens({sorted(self._kept)})"

    def __reduce__(self) -> str:
        raise TypeError("tokens are not for state: they cannot be pickled")


_shared: dict[str, SharedCredential] = {}
_shared_lock = threading.Lock()


def credential(cloud: Cloud) -> TokenCredential:
    """The process's credential for `cloud`, as this module's docstring says."""
    with _shared_lock:
        if cloud.name not in _shared:
            _shared[cloud.name] = SharedCredential(lambda: make_credential(cloud, os.environ))
        return _shared[cloud.name]


def make_credential(
    cloud: Cloud, environment: Mapping[str, str], *, github: httpx.BaseTransport | None = None, **options: Any
) -> TokenCredential:
    """A new credential for `cloud`.

    `github` sends the requests for GitHub's tokens; `options` are azure-identity's own, of every credential.
    """
    # Not above: a program, or a preview that asks nobody, need not wait for it.
    from azure import identity

    options = {"authority": cloud.authority, **options}
    if has_service_principal(environment):
        return _default_credential(True, options)
    who = {"tenant_id": environment.get("AZURE_TENANT_ID", ""), "client_id": environment.get("AZURE_CLIENT_ID", "")}
    if all(who.values()) and assertions.is_given(environment):
        fresh = assertions.GitHubAssertions(environment, cloud.exchange_audience, transport=github)
        return identity.ClientAssertionCredential(**who, func=fresh, **options)
    pipeline = {name: environment.get(variable, "") for name, variable in _AZURE_PIPELINES.items()}
    if all(pipeline.values()) and environment.get("SYSTEM_OIDCREQUESTURI"):
        return identity.AzurePipelinesCredential(**pipeline, **options)
    file = environment.get("AZURE_FEDERATED_TOKEN_FILE")
    if all(who.values()) and file:
        return identity.WorkloadIdentityCredential(**who, token_file_path=file, **options)
    return _default_credential(False, options)


_AZURE_PIPELINES = {
    "tenant_id": "AZURESUBSCRIPTION_TENANT_ID",
    "client_id": "AZURESUBSCRIPTION_CLIENT_ID",
    "service_connection_id": "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "system_access_token": "SYSTEM_ACCESSTOKEN",
}


def _default_credential(by_environment: bool, options: Mapping[str, Any]) -> TokenCredential:
    """DefaultAzureCredential without those that are interactive, or that only probe when the answer is given."""
    from azure import identity

    return identity.DefaultAzureCredential(
        exclude_workload_identity_credential=by_environment,
        exclude_managed_identity_credential=by_environment,
        exclude_cli_credential=by_environment,
        exclude_developer_cli_credential=by_environment,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_powershell_credential=True,
        exclude_interactive_browser_credential=True,
        exclude_broker_credential=True,
        **options,
    )


def has_service_principal(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a service principal completely."""
    return bool(
        environment.get("AZURE_TENANT_ID")
        and environment.get("AZURE_CLIENT_ID")
        and (environment.get("AZURE_CLIENT_SECRET") or environment.get("AZURE_CLIENT_CERTIFICATE_PATH"))
    )


def advice(environment: Mapping[str, str]) -> str:
    """What to do when nobody was signed in, in the words of where this runs."""
    if environment.get("GITHUB_ACTIONS") == "true" and not has_service_principal(environment):
        missing = [name for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID") if not environment.get(name)]
        if missing or not assertions.is_given(environment):
            return (
                "give the job `permissions: id-token: write`, and AZURE_TENANT_ID and AZURE_CLIENT_ID of an app "
                f"registration that trusts this workflow{f' ({missing[0]} is not set)' if missing else ''}"
            )
        return "the app registration AZURE_CLIENT_ID needs a federated credential for this workflow"
    if environment.get("TF_BUILD") and not environment.get("SYSTEM_ACCESSTOKEN"):
        return "run this in an Azure task (AzureCLI@2), and hand on SYSTEM_ACCESSTOKEN: $(System.AccessToken)"
    return "run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal"
