"""What the environment of a command is inside the lab, and outside it again: pure functions of mappings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from lab import identity
from lab.home import Facts, Home

OUTSIDE = "LAB_OUTSIDE"
"""Holds, as JSON, what the lab's values replaced, so that what must reach out (an installation) can."""

_REMOVED = (
    # Each could send a client past the lab, or let DefaultAzureCredential find someone else than the lab's principal.
    *("ALL_PROXY", "all_proxy", "SSL_CERT_DIR"),
    *("AZURE_AUTHORITY_HOST", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TOKEN_CREDENTIALS"),
    *("AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY"),
    *("ARM_CLIENT_CERTIFICATE_PATH", "ARM_ENVIRONMENT", "ARM_METADATA_HOSTNAME", "ARM_OIDC_TOKEN", "ARM_USE_MSI"),
    *("ARM_USE_OIDC", "ARM_ACCESS_TOKEN"),
)


def lab_variables(home: Home, facts: Facts, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead a command into the lab, by name; `environ` is what it would have otherwise."""
    outside = without_lab(environ)
    proxy = f"http://127.0.0.1:{facts.proxy_port}"
    local = "localhost,127.0.0.1"
    variables = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        # Plain http goes there too, to be refused: else an http:// request would leave the lab unseen.
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": local,
        "no_proxy": local,
        "REQUESTS_CA_BUNDLE": facts.ca_file,
        "SSL_CERT_FILE": facts.ca_file,
        "CURL_CA_BUNDLE": facts.ca_file,
        "AZURE_TENANT_ID": identity.TENANT_ID,
        "AZURE_CLIENT_ID": identity.CLIENT_ID,
        "AZURE_CLIENT_SECRET": facts.client_secret,
        "ARM_SUBSCRIPTION_ID": identity.SUBSCRIPTION_ID,
        "ARM_TENANT_ID": identity.TENANT_ID,
        "ARM_CLIENT_ID": identity.CLIENT_ID,
        "ARM_CLIENT_SECRET": facts.client_secret,
        "LAB_HOME": str(home.root),
        "LAB_CACHE": str(home.cache),
        "PATH": _path(home, environ),
    }
    replaced = {name: outside[name] for name in (*variables, *_REMOVED) if name in outside and name not in _KEPT}
    return {**variables, OUTSIDE: json.dumps(replaced)}


_KEPT = ("LAB_HOME", "LAB_CACHE", "PATH")


def removed_variables(environ: Mapping[str, str]) -> list[str]:
    """Names in `environ` that must not be there inside the lab."""
    return [name for name in _REMOVED if name in environ]


def inside(home: Home, facts: Facts, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a command inside the lab."""
    kept = {name: value for name, value in environ.items() if name not in _REMOVED}
    return {**kept, **lab_variables(home, facts, environ)}


def without_lab(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` as it was before `lab run` or `lab env`; unchanged when it is not of a lab."""
    if OUTSIDE not in environ:
        return dict(environ)
    replaced: dict[str, str] = json.loads(environ[OUTSIDE])
    kept = {name: value for name, value in environ.items() if name not in _SET}
    return {**kept, **replaced}


_SET = frozenset(
    {OUTSIDE, "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"}
    | {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"}
    | {"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"}
    | {"ARM_SUBSCRIPTION_ID", "ARM_TENANT_ID", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET"}
)


def _path(home: Home, environ: Mapping[str, str]) -> str:
    """PATH with the plugin's stand-in in front, unless AZURE_NATIVE=real asks for the real plugin."""
    entries = [entry for entry in environ.get("PATH", os.defpath).split(os.pathsep) if entry != str(home.bin)]
    if environ.get("AZURE_NATIVE") != "real":
        entries.insert(0, str(home.bin))
    return os.pathsep.join(entries)
