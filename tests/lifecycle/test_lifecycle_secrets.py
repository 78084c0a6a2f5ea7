"""No secret in state, logs, errors, progress lines or pickles, with all debug logging on; and no fat in state."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.engine.passphrase import Passphrase
from tests.lifecycle.checkout import Checkout, engines

SECRET = "zebra-quartz-7193-lantern"
OWN = "pulumi-python:dynamic/azureml:"
# Runs in each Python process of the engine: its loggers, and those of its libraries, write all that they have.
LOGGING = """
import logging, os, sys
if any(word in part for part in sys.orig_argv for word in ("pulumi", "lab.engine", "lab.azure_native")):
    logging.basicConfig(level=logging.DEBUG, filename=os.path.join(FOLDER, f"{os.getpid()}.log"))
"""


class Chatty(Checkout):
    """A checkout whose engine and providers log everything to a folder, and whose script has a secret variable."""

    def __init__(self, folder: Path, engine: str) -> None:
        super().__init__(folder / "checkout", engine)
        self.logs = folder / "logs"
        self.logs.mkdir()
        site = folder / "site"
        site.mkdir()
        source = LOGGING.replace("FOLDER", repr(str(self.logs)))
        (site / "sitecustomize.py").write_text(source, encoding="utf-8")
        self._site = str(site)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": self._site, "AML_BATCH_DEBUG": "1"}

    def keep_secret(self, value: str) -> None:
        """What `pulumi config set --secret --path` does to a stack file, with this clone's passphrase."""
        phrase = "only-for-this-test"
        home = self.lab.home
        home.mkdir(parents=True, exist_ok=True)
        (home / "passphrase").write_text(phrase, encoding="utf-8")
        sealing = Passphrase.new(phrase)
        file = self.folder / "stacks" / "Pulumi.lab.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        document["encryptionsalt"] = sealing.salt
        digits = document["config"]["batch-scoring:deployments"]["digits"]
        digits["environment_variables"] = {"PLAIN": "seen", "API_PASSWORD": {"secure": sealing.encrypt(value)}}
        document["config"]["batch-scoring:shared_key"] = True
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def state(self) -> dict[str, Any]:
        file = next((self.lab.home / "pulumi" / ".pulumi" / "stacks").rglob("lab.json"))
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
        return found


@pytest.fixture(params=engines())
def chatty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chatty]:
    (tmp_path / "checkout").mkdir()
    copy = Chatty(tmp_path, request.param)
    try:
        copy.lab.start()
        yield copy
    finally:
        copy.lab.stop()


def pickles(text: str) -> Iterator[str]:
    """What is in the base64 of provider pickles, as text."""
    for found in re.findall(r'"__provider": ?"([A-Za-z0-9+/=]+)"', text):
        yield base64.b64decode(found).decode("latin-1")


def secrets_in(text: str, checkout: Chatty) -> list[str]:
    facts = checkout.lab.facts
    known = {"client secret": facts.client_secret, "storage key": facts.storage_key, "variable": SECRET}
    found = [name for name, value in known.items() if value in text]
    found += ["variable in base64"] if base64.b64encode(SECRET.encode()).decode().rstrip("=")[:-1] in text else []
    found += ["bearer token"] if re.search(r"eyJ[\w-]{10,}\.[\w-]{10,}", text) else []
    found += ["signature"] if re.search(r"\bsig=(?!<hidden>|REDACTED|\*+)[\w%+/-]{8,}", text) else []
    return found


def size(resource: dict[str, Any]) -> int:
    """Bytes in state, without the program's stack trace, which the CLI adds to each resource of each project."""
    kept = {key: value for key, value in resource.items() if key not in ("stackTrace", "sourcePosition")}
    return len(json.dumps(kept))


def test_no_secret_is_anywhere(chatty: Chatty) -> None:
    chatty.keep_secret(SECRET)
    said = {"up": str(chatty.run("up"))}
    assert "exit code 0" in said["up"], said["up"]
    state = chatty.state()
    sizes = [size(each) for each in state["resources"] if each["type"].startswith(OWN)]
    chatty.configure(deployments__digits__mini_batch_size=50)
    said["preview"] = str(chatty.run("preview", "--diff"))
    said["preview as JSON"] = str(chatty.run("preview", "--json"))
    said["output"] = str(chatty.run("output", "--json"))
    chatty.edit("examples/digits/code/score.py", "def run(", "raise LookupError('no')\ndef run(")
    said["failing up"] = str(chatty.run("up"))
    said["refresh"] = str(chatty.run("refresh"))
    for file in [
        *chatty.logs.glob("*"),
        *(chatty.lab.home / "pulumi").rglob("*"),
        *(chatty.lab.home / "project").rglob("*"),
    ]:
        if file.is_file():
            said[str(file)] = file.read_bytes().decode("utf-8", "replace")
    said["pickles"] = "".join("\n".join(pickles(text)) for text in said.values())

    assert {name: found for name, text in said.items() if (found := secrets_in(text, chatty))} == {}
    assert any("httpx" in text or "httpcore" in text for name, text in said.items() if name.endswith(".log"))
    assert any("azure.core.pipeline" in text for name, text in said.items() if name.endswith(".log"))
    assert sizes
    assert sum(sizes) / len(sizes) <= 4096, sizes
    assert max(sizes) <= 8192, sizes
    deployment = next(each for each in state["resources"] if each["type"] == f"{OWN}BatchDeployment")
    sealed = "4dabf18193072939515e22adb298388d"  # the engine's mark of an encrypted value
    for bag in ("inputs", "outputs"):
        assert sealed in json.dumps(deployment[bag]["environment_variables"])
    assert "failed: LookupError" in said["failing up"]
    chatty.run("destroy")
