"""One running lab, used as its clients use it: real host names, through the proxy."""

from __future__ import annotations

import base64
import json
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient

from lab import identity
from lab.home import CHECKOUT
from lab.running import control_get
from lab.start import STAND_IN, write_stand_in
from lab.testing import LabUnderTest

pytestmark = pytest.mark.xdist_group("running lab")
BLOBS = f"https://{identity.STORAGE_ACCOUNT}.blob.core.windows.net"
ARM = "https://management.azure.com/subscriptions"
ANOTHER_KEY = base64.b64encode(bytes(64)).decode("ascii")
KINDS = [
    "endpoints",
    "deployments",
    "codes",
    "models",
    "environments",
    "data",
    "datasets",
    "components",
    "computes",
    "foundations",
    "jobs",
    "blobs",
]


@pytest.fixture
def proxies(lab: LabUnderTest) -> dict[str, str]:
    return {"https": lab.env["HTTPS_PROXY"]}


@pytest.fixture
def with_key(lab: LabUnderTest, proxies: dict[str, str]) -> Iterator[BlobServiceClient]:
    facts = lab.facts
    with BlobServiceClient(
        BLOBS, credential=facts.storage_key, proxies=proxies, connection_verify=facts.ca_file
    ) as client:
        yield client


def test_a_second_start_finds_the_first(lab: LabUnderTest) -> None:
    before = lab.facts
    done = lab.command("start")
    assert (done.returncode, lab.facts) == (0, before)
    assert "already running" in done.stdout


def test_status_as_json_has_every_kind(lab: LabUnderTest) -> None:
    done = lab.command("status", "--json")
    status = json.loads(done.stdout)
    assert list(status) == KINDS
    assert sorted(status["blobs"]) == ["logs", "outputs", "uploads"]


def test_status_for_people_says_where_everything_is(lab: LabUnderTest) -> None:
    done = lab.command("status")
    assert done.returncode == 0
    for word in ("no endpoint", "no job", "0 models", "0 uploads", str(lab.home), lab.facts.page):
        assert word in done.stdout.replace("\n       ", "")


def test_start_names_the_page_and_a_browser_gets_it_without_the_labs_certificate(lab: LabUnderTest) -> None:
    page = httpx.get(lab.facts.page, trust_env=False, timeout=60)
    assert "<title>lab</title>" in page.text
    assert lab.facts.page in lab.command("start").stdout


def test_an_unknown_host_is_refused_by_name_to_curl(lab: LabUnderTest) -> None:
    done = lab.command("run", "--", "curl", "-sSv", "https://example.com/")
    assert done.returncode == 56
    assert "403 the lab refuses example.com" in done.stderr


def test_a_refused_host_stands_among_the_requests(lab: LabUnderTest) -> None:
    lab.command("run", "--", "curl", "-sS", "https://refused.example.com/")
    requests = json.loads(control_get(lab.facts, "/_lab/requests").body)["requests"]
    refused = [(each["url"], each["status"], each["error"]) for each in requests if "refused.example" in each["url"]]
    assert refused == [("https://refused.example.com:443", 403, "RefusedByTheProxy")]


def test_an_unknown_host_is_refused_by_name_to_httpx(lab: LabUnderTest) -> None:
    done = lab.command("run", "--", sys.executable, "-c", "import httpx; httpx.get('https://example.com/')")
    assert "ProxyError: 403 the lab refuses example.com" in done.stderr


def test_arm_answers_under_its_own_name(lab: LabUnderTest) -> None:
    facts = lab.facts
    done = lab.command(
        "run", "--", "curl", "-sS", "-o", "-", "-w", "%{http_code}", f"{ARM}/{identity.SUBSCRIPTION_ID}?api-version=1"
    )
    assert done.stdout.endswith("401"), done.stderr
    assert facts.client_secret not in done.stdout


def test_a_blob_goes_in_and_out_by_host_name_with_the_key(with_key: BlobServiceClient) -> None:
    blob = with_key.get_blob_client(identity.DEFAULT_CONTAINER, "test/by-key")
    blob.upload_blob(b"content", overwrite=True)
    assert blob.download_blob().readall() == b"content"
    blob.delete_blob()


def test_a_blob_goes_in_by_host_name_with_an_entra_token(lab: LabUnderTest, proxies: dict[str, str]) -> None:
    facts = lab.facts
    credential = ClientSecretCredential(
        identity.TENANT_ID,
        identity.CLIENT_ID,
        facts.client_secret,
        proxies=proxies,
        connection_verify=facts.ca_file,
    )
    with BlobServiceClient(BLOBS, credential=credential, proxies=proxies, connection_verify=facts.ca_file) as client:
        blob = client.get_blob_client(identity.DEFAULT_CONTAINER, "test/by-token")
        blob.upload_blob(b"content", overwrite=True)
        assert blob.get_blob_properties().size == 7
        blob.delete_blob()


def test_the_same_store_answers_by_path_on_the_loopback_address(lab: LabUnderTest, with_key: BlobServiceClient) -> None:
    facts = lab.facts
    with BlobServiceClient(
        f"https://127.0.0.1:{facts.azurite_port}/{identity.STORAGE_ACCOUNT}",
        credential=facts.storage_key,
        connection_verify=facts.ca_file,
    ) as by_path:
        by_path.get_blob_client(identity.DEFAULT_CONTAINER, "test/path").upload_blob(b"x", overwrite=True)
    blob = with_key.get_blob_client(identity.DEFAULT_CONTAINER, "test/path")
    assert blob.download_blob().readall() == b"x"
    blob.delete_blob()


def test_another_key_is_refused(lab: LabUnderTest, proxies: dict[str, str]) -> None:
    with (
        BlobServiceClient(
            BLOBS, credential=ANOTHER_KEY, proxies=proxies, connection_verify=lab.facts.ca_file
        ) as client,
        pytest.raises(HttpResponseError, match="InvalidAuthenticationInfo"),
    ):
        client.get_container_client(identity.DEFAULT_CONTAINER).get_container_properties()


def test_the_workspaces_containers_are_there(with_key: BlobServiceClient) -> None:
    names = {container.name for container in with_key.list_containers()}
    assert {identity.DEFAULT_CONTAINER, identity.LOGS_CONTAINER} <= names


def test_env_is_what_a_shell_evaluates(lab: LabUnderTest) -> None:
    exports = lab.command("env", env={"ALL_PROXY": "http://corp:1"}).stdout
    script = f'{exports}\necho "$ALL_PROXY|$AZURE_TENANT_ID|$LAB_HOME"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"|{identity.TENANT_ID}|{lab.home}"
    assert all(re.match(r"(export \w+='|unset \w+$)", line) for line in exports.splitlines())


def test_env_as_json_is_the_same(lab: LabUnderTest) -> None:
    found = json.loads(lab.command("env", "--json").stdout)
    assert found["HTTPS_PROXY"] == f"http://127.0.0.1:{lab.facts.proxy_port}"
    assert found["AZURE_CLIENT_SECRET"] == lab.facts.client_secret


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -15)])
def test_run_ends_as_its_command_does(lab: LabUnderTest, command: str, code: int) -> None:
    assert lab.command("run", "--", "sh", "-c", command).returncode == code


def test_run_hands_on_words_and_folder_unchanged(lab: LabUnderTest) -> None:
    done = lab.command("run", "--", "sh", "-c", 'pwd; printf "%s|" "$@"', "sh", "a b", "--json", "--", "")
    assert done.stdout == f"{CHECKOUT}\na b|--json|--||"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [(["run"], 2, "run what"), (["run", "--", "no-such-command"], 127, "no-such-command: no such command")],
)
def test_run_without_a_command_that_is_there_says_so(
    lab: LabUnderTest, arguments: list[str], code: int, says: str
) -> None:
    done = lab.command(*arguments)
    assert done.returncode == code
    assert says in done.stderr


def test_run_refuses_a_command_about_another_stack(lab: LabUnderTest, tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    config = {"config": {"x:subscription_id": "6f1b2a3c-0000-4000-8000-00000000abcd"}}
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "--", "echo", "ran", "--stack", "prod"],
        env={**lab.outside_env, "PYTHONPATH": str(CHECKOUT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "stack prod is not the lab's" in done.stderr


def test_the_stand_in_is_on_the_path_and_runs_this_python(lab: LabUnderTest) -> None:
    found = lab.run(["sh", "-c", f"command -v {STAND_IN}"]).stdout.strip()
    assert found == str(lab.paths.bin / STAND_IN)
    assert shlex.quote(sys.executable) in Path(found).read_text(encoding="utf-8")


def test_the_stand_in_is_written_anew_when_it_would_differ(lab: LabUnderTest) -> None:
    file = lab.paths.bin / STAND_IN
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(sys.executable, "/gone/python"), encoding="utf-8")
    assert write_stand_in(lab.paths).read_text(encoding="utf-8") == text
    assert file.stat().st_mode & 0o777 == 0o700


def test_the_control_api_asks_for_its_bearer(lab: LabUnderTest) -> None:
    facts = lab.facts
    context = ssl.create_default_context(cafile=facts.ca_file)
    url = f"https://127.0.0.1:{facts.emulator_port}/_lab/status"
    reply = httpx.get(url, verify=context, trust_env=False, timeout=60)
    assert reply.status_code == 401


def test_the_log_is_shown_from_its_end(lab: LabUnderTest) -> None:
    done = lab.command("logs", "-n", "100000")
    assert "ready: proxy" in done.stdout
    assert len(lab.command("logs", "-n", "1").stdout.splitlines()) == 1
    wrong = lab.command("logs", "-n", "-5")
    assert (wrong.returncode, "must be at least 0, got -5" in wrong.stderr) == (2, True)


def test_no_secret_is_in_the_log(lab: LabUnderTest) -> None:
    facts, log = lab.facts, lab.log(100_000)
    for secret in (facts.client_secret, facts.storage_key, facts.control_token):
        assert secret not in log


def test_everything_the_lab_keeps_is_its_owners(lab: LabUnderTest) -> None:
    files = [file for file in lab.home.rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if file.stat().st_mode & 0o077] == []
