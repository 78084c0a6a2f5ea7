"""A small stack that is ended in every way, and what is done to it before: kills, locks, what the service refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import identity
from tests.faults.small_checkout import SmallCheckout
from tests.lifecycle.checkout import Ran

LOCKED = {
    "error": {
        "code": "ScopeLocked",
        "message": "The scope cannot perform delete operation because following scope(s) are locked: "
        "'/subscriptions/s'. Please remove the lock and try again.",
    }
}
"""As Resource Manager answers where somebody has put a lock."""
FOUNDATION = {
    "resource_group": "made",
    "workspace": "made",
    "foundation": {
        "tenant_id": identity.TENANT_ID,
        "deployers": {"lab": {"id": identity.PRINCIPAL_ID, "type": "ServicePrincipal"}},
    },
}
"""Settings of a stack that builds its workspace."""
BY_HAND = "hand"
"""Name of a workspace that is no stack's, in the lab's group, on the lab's storage account."""
_GROUP = f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
_WORKSPACE = f"{_GROUP}/providers/Microsoft.MachineLearningServices/workspaces/{BY_HAND}"
_VAULT = f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{BY_HAND}-vault"
_MADE = f"""
from providers.arm import client
place = {{"location": "{identity.LOCATION}"}}
vault = {{"tenantId": "{identity.TENANT_ID}", "sku": {{"family": "A", "name": "standard"}}}}
client().put("{_VAULT}", {{**place, "properties": vault}}, api_version="2024-11-01", deadline=60)
on = {{
    "storageAccount": "{_GROUP}/providers/Microsoft.Storage/storageAccounts/{identity.STORAGE_ACCOUNT}",
    "keyVault": "{_VAULT}",
    "systemDatastoresAuthMode": "accesskey",
}}
client().put("{_WORKSPACE}", {{**place, "properties": on}}, api_version="2025-12-01", deadline=60)
"""
_DELETED = f"""
from providers.arm import client
query = {{"forceToPurge": "true"}}
client().delete("{_WORKSPACE}", api_version="2025-12-01", query=query, deadline=60)
client().delete("{_VAULT}", api_version="2024-11-01", deadline=60)
hidden = "/subscriptions/{identity.SUBSCRIPTION_ID}/providers/Microsoft.KeyVault/locations/{identity.LOCATION}"
client().post(hidden + "/deletedVaults/{BY_HAND}-vault/purge", api_version="2024-11-01", idempotent=True)
"""
MARKER = re.compile(r"batch-scoring/lab/[0-9a-f]{16}")


class Ending(SmallCheckout):
    """Named by what happens to it."""

    def deployed(self) -> None:
        """Bring it up where the test before has not left it so."""
        if len(self.status()["deployments"]) != 1 or not self.resources():
            self.succeed("up")

    def ended(self) -> None:
        """End it where the test before has not."""
        if self.resources():
            self.succeed("destroy")

    @property
    def state_file(self) -> Path:
        return self.lab.home / "pulumi" / ".pulumi" / "stacks" / "batch-scoring" / "lab.json"

    @property
    def locks(self) -> Path:
        return self.lab.home / "pulumi" / ".pulumi" / "locks" / "organization" / "batch-scoring" / "lab"

    def resources(self) -> list[dict[str, Any]]:
        """Of the state; empty where there is none."""
        if not self.state_file.is_file():
            return []
        latest = json.loads(self.state_file.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        return list(latest.get("resources") or [])

    def left(self) -> dict[str, Any]:
        """What is in the lab but for the records of jobs and their logs."""
        status = self.status()
        blobs = {kind: number for kind, number in status.pop("blobs").items() if kind != "logs" and number}
        del status["jobs"]
        return {**{kind: ids for kind, ids in status.items() if ids}, **({"blobs": blobs} if blobs else {})}

    def leftovers(self, *options: str) -> tuple[int, dict[str, Any]]:
        ran = self.run("leftovers", "--json", *options)
        return ran.code, json.loads(ran.said[ran.said.index("{\n") :])

    @contextmanager
    def refusing(self, method: str, path: str, status: int, body: Any) -> Iterator[None]:
        """The service answers so, until the end of the block."""
        fault = {"match": {"method": method, "path": path}, "action": "reply", "status": status, "body": body}
        self.control("PUT", "faults", [{**fault, "times": -1}])
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def stopped_at(self, verb: str, line: str, number: signal.Signals, *, alone: bool = False, there: str = "") -> Ran:
        """Run a verb until it prints a line with all these words, and send the signal, `alone` to its first process.

        `there`: and until there is one of this kind.
        """
        with self.start(verb) as process:
            seen = self._until(process, line)
            while there and not self.status()[there]:
                assert process.poll() is None, f"it ended without any {there}"
                time.sleep(0.05)
            if alone:
                os.kill(process.pid, number)
            else:
                os.killpg(process.pid, number)
            rest, _ = process.communicate(timeout=200)
            return Ran(process.returncode, seen + rest)

    @contextmanager
    def configured(self, **settings: Any) -> Iterator[None]:
        """With these settings, until the end of the block."""
        file = self.folder / "stacks" / "Pulumi.lab.yaml"
        text = file.read_text(encoding="utf-8")
        self.configure(**settings)
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")

    def by_hand(self, what: str) -> None:
        """Somebody makes the workspace, or deletes it with the vault that it stands on, for good."""
        script = {"make": _MADE, "delete": _DELETED}[what]
        done = self.lab.run([sys.executable, "-c", script], cwd=self.folder)
        assert done.returncode == 0, done.stderr[-800:]

    def settle(self) -> None:
        """Until the service has ended what it does to the cluster: a run that was told to stop does not wait for it."""
        while any(each["state"] != "Succeeded" for each in self.control("GET", "overview")["computes"]):
            time.sleep(0.1)

    def _until(self, process: subprocess.Popen[str], words: str) -> str:
        assert process.stdout is not None
        seen = ""
        while not seen or not all(word in seen.rpartition("\n")[2] for word in words.split()):
            line = process.stdout.readline()
            assert line, f"it ended before it said {words!r}:\n{seen}"
            seen = f"{seen}\n{line.rstrip()}"
        return f"{seen}\n"
