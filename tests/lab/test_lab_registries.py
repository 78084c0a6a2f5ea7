"""What uv and PyPI's npm are told of this machine's way to package registries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.home import CHECKOUT
from lab.registries import npm_environment, uv_environment

FILES = """:env:.index-url='https://of.pip.itself/simple'
global.cert='/etc/ours.pem'
global.find-links='/one /two'
global.index-url='https://global.example/simple'
global.timeout='60'
install.index-url="https://install.example/simple"
wheel.index-url='https://wheel.example/simple'
"""


def no_pip(_: object) -> str:
    return ""


def test_uv_gets_what_pips_files_say_in_its_own_words() -> None:
    assert uv_environment({}, pip=lambda _: FILES, bundles=()) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "/etc/ours.pem",
        "UV_HTTP_TIMEOUT": "60",
    }


def test_pips_variables_come_before_its_files_and_uvs_before_both() -> None:
    environ = {"PIP_INDEX_URL": "https://variable.example/simple", "PIP_CERT": "/b.pem", "SSL_CERT_FILE": "/a.pem"}

    told = uv_environment(environ, pip=lambda _: FILES, bundles=())

    assert (told["UV_DEFAULT_INDEX"], told["SSL_CERT_FILE"]) == ("https://variable.example/simple", "/a.pem")


def test_uv_trusts_the_systems_authorities_where_there_are_some(tmp_path: Path) -> None:
    bundle = tmp_path / "ca-certificates.crt"
    without = uv_environment({}, pip=no_pip, bundles=[str(bundle)])
    bundle.touch()

    assert without == {}
    assert uv_environment({}, pip=no_pip, bundles=[str(bundle)]) == {"UV_SYSTEM_CERTS": "true"}
    assert uv_environment({"UV_SYSTEM_CERTS": "false"}, pip=no_pip, bundles=[str(bundle)]) == {
        "UV_SYSTEM_CERTS": "false"
    }


def test_the_pip_that_is_asked_reads_the_files_of_the_given_environment(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\n", encoding="utf-8")

    told = uv_environment({"PIP_CONFIG_FILE": str(file)}, bundles=())

    assert told["UV_DEFAULT_INDEX"] == "https://file.example/simple"


def test_the_npm_of_pypi_gets_the_systems_authorities_and_settings(tmp_path: Path) -> None:
    bundle, settings = tmp_path / "ca.pem", tmp_path / "npmrc"
    bundle.touch()
    settings.touch()

    told = npm_environment({"PATH": "/bin"}, bundles=["/none", str(bundle)], settings=[str(settings)])

    assert told == {
        "PATH": "/bin",
        "NODE_EXTRA_CA_CERTS": str(bundle),
        "npm_config_globalconfig": str(settings),
    }
    assert npm_environment(told, bundles=(), settings=()) == told
    assert npm_environment({"SSL_CERT_FILE": "/ours.pem"}, bundles=[str(bundle)], settings=()) == {
        "SSL_CERT_FILE": "/ours.pem",
        "NODE_EXTRA_CA_CERTS": "/ours.pem",
    }


def test_uv_is_run_with_its_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.uv", "--version"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("uv ")
