"""A stack that is switched while callers call: a small checkout, its callers, and what the lab's request log proves."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import yaml

from lab import identity
from tests.faults.small_checkout import SmallCheckout

GOOD = """import os


def init() -> None:
    assert os.listdir(os.environ["AZUREML_MODEL_DIR"])


def run(mini_batch: list[str]) -> list[str]:
    return [os.path.basename(path) for path in mini_batch]
"""
RAISES = GOOD.replace("    return [", '    raise LookupError("no such digit")\n    return [')
TOO_FEW = GOOD.replace(" in mini_batch]", " in mini_batch if not path.endswith('b.txt')]")
WRONG = GOOD.replace("os.path.basename(path) for", "'nonsense' for")
ENDLESS = "import time\n\n" + GOOD.replace("    return [", "    time.sleep(3600)\n    return [")
CHECK = """import sys

rows = open(sys.argv[1], encoding="utf-8").read().split()
if rows != ["a.txt", "b.txt"]:
    sys.exit(f"these are no names of images: {rows}")
print("all names are right")
"""
_ENDPOINT = re.compile(r"/batchEndpoints/[^/]+$", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)$", re.IGNORECASE)


class RolloutCheckout(SmallCheckout):
    """One deployment, `small`, with a check script; its content is its script."""

    def prepare(self) -> None:
        (self.folder / "small" / "check.py").write_text(CHECK, encoding="utf-8")
        self.configure(
            smoke_job__check_script="small/check.py",
            smoke_job__allowed_failures=1,
            # The jobs of these callers never end, and nobody waits for them.
            deployments__small__drain="0s",
        )
        self._settings = {name: self.setting(name) for name in ("deployments", "default", "smoke_job")}
        self.start_lab()
        self.control("PUT", "settings", {"request_log": 20_000})

    def setting(self, name: str) -> Any:
        text = (self.folder / "stacks" / "Pulumi.lab.yaml").read_text(encoding="utf-8")
        return yaml.safe_load(text)["config"][f"batch-scoring:{name}"]

    def deployed(self) -> str:
        """The name of what serves when the good script is deployed and nothing else, whatever was there before."""
        self.script(GOOD)
        self.configure(**self._settings)
        self.succeed("up")
        return self.default

    def script(self, text: str, where: str = "small/code") -> None:
        (self.folder / where / "score.py").write_text(text, encoding="utf-8")

    @property
    def endpoint(self) -> dict[str, Any]:
        """The one endpoint, as the lab tells it."""
        (found,) = self.control("GET", "overview")["endpoints"]
        return dict(found)

    @property
    def default(self) -> str:
        return str(self.endpoint["default"])

    def smoke_jobs(self) -> list[tuple[str, str]]:
        """(deployment without its hash, status), oldest first."""
        return [
            (each["deployment"].rpartition("-")[0], each["status"])
            for each in reversed(self.control("GET", "overview")["jobs"])
            if "/smoke/" in each["output"]
        ]


class Callers:
    """Invoke the endpoint without naming a deployment, as people do."""

    def __init__(self, checkout: RolloutCheckout) -> None:
        facts = checkout.lab.facts
        self._http = httpx.Client(
            proxy=f"http://127.0.0.1:{facts.proxy_port}",
            verify=ssl.create_default_context(cafile=facts.ca_file),
            trust_env=False,
            timeout=30,
        )
        form = {
            "grant_type": "client_credentials",
            "client_id": identity.CLIENT_ID,
            "client_secret": facts.client_secret,
            "scope": "https://ml.azure.com/.default",
        }
        token = f"https://login.microsoftonline.com/{identity.TENANT_ID}/oauth2/v2.0/token"
        self._token = self._http.post(token, data=form).raise_for_status().json()["access_token"]
        self._uri = str(checkout.endpoint["scoring_uri"])
        self.answers: list[tuple[int, str]] = []
        """Status and the deployment that answered, in the order of the calls."""

    def call(self) -> None:
        data = {"jobInputType": "UriFolder", "uri": "azureml://datastores/workspaceblobstore/paths/nowhere"}
        answer = self._http.post(
            self._uri,
            json={"properties": {"inputData": {"x": data}}},
            headers={"Authorization": f"Bearer {self._token}"},
        )
        self.answers.append((answer.status_code, answer.headers.get("azureml-model-deployment", answer.text)))

    def until(self, done: threading.Event, at_least: int) -> None:
        while not done.is_set() or len(self.answers) < at_least:
            self.call()
            done.wait(0.02)

    def close(self) -> None:
        self._http.close()


def wrong_moments(requests: Sequence[Mapping[str, Any]], endpoint: str) -> list[str]:
    """What the request log says against `at no moment is the default empty or wrong`, from the first default on.

    The log is in the order in which requests were handled. A default is wrong when its deployment does not exist, when
    it was not created yet, or when another one answers those who name none.
    """
    wrong, default, existing = [], None, set()
    for each in requests:
        url, done = str(each["url"]), each["handled"] is not None and each["handled"] < 300
        if not done or (f"/{endpoint}".lower() not in url.lower() and f"//{endpoint}." not in url.lower()):
            continue
        deployment = _DEPLOYMENT.search(url.partition("?")[0])
        if deployment and each["method"] == "PUT":
            existing.add(deployment[1])
        if deployment and each["method"] == "DELETE":
            existing.discard(deployment[1])
            if deployment[1] == default:
                wrong.append(f"{deployment[1]} was deleted while it was the default")
        if _ENDPOINT.search(url.partition("?")[0]) and each["method"] in ("PUT", "GET"):
            if default is not None and each["deployment"] is None:
                wrong.append(f"{each['method']} at {each['time']}: the default is empty")
            default = each["deployment"]
            if default is not None and default not in existing:
                wrong.append(f"the default {default} does not exist")
        if ".inference." in url and each["method"] == "POST" and each["deployment"] not in existing:
            wrong.append(f"{each['deployment']} answered, and does not exist")
    return wrong


def answered_by_others(requests: Sequence[Mapping[str, Any]], answers: Sequence[tuple[int, str]]) -> list[str]:
    """Of the newest calls, as many as there are answers: those that another deployment answered than the default."""
    default, calls = None, []
    for each in requests:
        if each["handled"] is None or each["handled"] >= 300:
            continue
        if _ENDPOINT.search(str(each["url"]).partition("?")[0]) and each["method"] == "PUT":
            default = each["deployment"]
        if ".inference." in str(each["url"]) and each["method"] == "POST":
            calls.append((each["deployment"], default))
    return [f"{who} answered when {then} was the default" for who, then in calls[-len(answers) :] if who != then]
