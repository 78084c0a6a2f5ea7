"""The life of a stack with one resource of each kind, on a whole engine, step by step; a step gives a cell per kind."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import dill

from tests.faults.report import FAILED, FOREIGN_KINDS, KINDS, NONE, PASSED, Cell
from tests.faults.small_checkout import SmallCheckout
from tests.lifecycle.checkout import ROOT

PLACES = {
    "CodeVersion": "codes",
    "ModelVersion": "models",
    "BatchEndpoint": "endpoints",
    "BatchDeployment": "deployments",
    "ScoringJob": "jobs",
    "Compute": "computes",
    "EnvironmentVersion": "environments",
}
"""Kind -> its word in the lab's status."""
Why = Mapping[str, str]
"""Kind -> what is wrong with it, empty where nothing is, `-` and a reason where the step has no meaning for it."""
_OWN = tuple(kind for kind in KINDS if kind != "DataVersion")
"""What a stack is made of: its files have no setting for data versions, which wire.py goes through alone."""
_ALL = (*_OWN, *FOREIGN_KINDS)


class Lifecycle:
    """Steps in order; each needs those before it."""

    def __init__(
        self, checkout: SmallCheckout, folder: Path, say: Callable[[str], None], other_python: Path | None = None
    ) -> None:
        """`folder`: for a second copy of the project. `other_python`: an interpreter in a virtual environment."""
        self._checkout, self._folder, self._say, self._other_python = checkout, folder, say, other_python
        self.cells: list[Cell] = []

    @property
    def steps(self) -> dict[str, Callable[[], Why]]:
        return {
            "create": self.create,
            "no-op: preview, refresh, up": self.no_op,
            "reformatted code changes nothing": self.reformatted,
            "another Python changes nothing": self.other_python,
            "an update of all leaves nothing unknown": self.upgraded,
            "update in place": self.update,
            "drift detected": self.drift_detected,
            "drift repaired": self.drift_repaired,
            "new content beside the old": self.content,
            "operation Failed is recorded, up heals": self.failed_create,
            "Ctrl-C once, then up": lambda: self.interrupted(1),
            "Ctrl-C twice, then up": lambda: self.interrupted(2),
            "adopt own (state lost)": self.adopt,
            "destroy from a clean clone": self.destroy,
            "state of an earlier release": self.earlier_releases,
        }

    def run(self, only: Container[str] = ()) -> list[Cell]:
        """All steps, or those that are named."""
        self._checkout.start_lab()
        for name, step in self.steps.items():
            if only and name not in only:
                continue
            began = time.monotonic()
            try:
                why: Why = step()
            except Exception as error:  # noqa: BLE001 - whatever goes wrong is a failed row
                why = dict.fromkeys(_ALL, f"{type(error).__name__}: {' '.join(str(error).split())[-700:]}")
            seconds = time.monotonic() - began
            for kind in _ALL:
                reason = why.get(kind, "")
                result = NONE if reason.startswith("- ") else FAILED if reason else PASSED
                self.cells.append(Cell(name, kind, result, reason.removeprefix("- "), seconds))
            self._say(f"{self._checkout.engine}: {name}, {seconds:.1f} s")
        return self.cells

    def create(self) -> Why:
        self._checkout.succeed("up")
        status = self._checkout.status()
        missing = {kind: "it is not there" for kind, place in PLACES.items() if len(status[place]) != 1}
        if self._checkout.outputs()["default_deployment"] is None:
            missing["DefaultDeployment"] = "none is set"
        if not status["blobs"]["uploads"]:
            missing["BlobFolder"] = "no blob is there"
        return missing

    def no_op(self) -> Why:
        """Nothing is planned, nothing is found by a refresh, nothing is sent by another up."""
        planned = self._checkout.preview()
        refreshed = self._checkout.succeed("refresh")
        planned |= self._checkout.preview()
        self._checkout.control("DELETE", "requests")
        again = self._checkout.succeed("up")
        sent = [each for each in self._checkout.requests() if _writes(each)]
        assert not sent, f"a second up sent {[each['url'] for each in sent]}"
        assert "unchanged" in again
        assert not re.search(r"~ \d+ (to )?updated?|- \d+ deleted", refreshed), refreshed
        return _by_kind(planned, {})

    def reformatted(self) -> Why:
        for file in (self._checkout.folder / "providers").glob("*.py"):
            file.write_text(f"{file.read_text(encoding='utf-8')}\n\n# A comment more.\n", encoding="utf-8")
        return _by_kind(self._checkout.preview(), {})

    def other_python(self) -> Why:
        """The program and the providers run on another Python than the one that wrote the state."""
        if self._other_python is None:
            return dict.fromkeys(_ALL, "- there is no other Python on this machine")
        before = (self._checkout.folder / ".venv").readlink()
        self._checkout.use_python(self._other_python.parent.parent)
        try:
            why = _by_kind(self._checkout.preview(), {})
            self._checkout.succeed("refresh")
            assert "unchanged" in self._checkout.succeed("up")
        finally:
            self._checkout.use_python(before)
        return why

    def upgraded(self) -> Why:
        """Something that every resource keeps in state alone: updates in place, which turn nothing unknown."""
        self._checkout.configure(api_version="2024-10-01")
        planned = self._checkout.preview()
        said = self._checkout.succeed("preview")
        self._checkout.configure(api_version="2025-12-01")
        changed = set(re.findall(r"\[diff: ([^\]]*)\]", said))
        assert changed == {"~api_version"}, f"planned: {changed}"
        return _by_kind(planned, {kind: {"update"} for kind in _OWN})

    def update(self) -> Why:
        self._checkout.configure(
            tags={"made-by": "faults", "step": "update"},
            endpoint__description="other",
            deployments__small__logging_level="Debug",
            compute__max_node_count=2,
        )
        expected = {
            **{key: {"update"} for key in ("CodeVersion", "ModelVersion", "BatchEndpoint", "BatchDeployment")},
            **{key: {"update"} for key in FOREIGN_KINDS},
            # The smoke job is about the deployment's settings: other settings, another job.
            "ScoringJob": {"update"},
        }
        planned = self._checkout.preview()
        self._checkout.succeed("up")
        why = _by_kind(planned, expected)
        why |= {kind: f"planned again: {ops}" for kind, ops in _by_kind(self._checkout.preview(), {}).items() if ops}
        none = "- it has nothing that this changes; a preview that plans it would be a failure"
        return dict.fromkeys(("Owner", "BlobFolder", "DefaultDeployment"), none) | {k: w for k, w in why.items() if w}

    def drift_detected(self) -> Why:
        """Changed and deleted behind our back; a refresh and a preview tell each."""
        self._inside("spoil", self._checkout.status()["endpoints"][0])
        self._checkout.succeed("refresh")
        self._drifted = {
            **{key: {"update"} for key in ("CodeVersion", "BatchEndpoint", "BatchDeployment")},
            **{key: {"create"} for key in ("ModelVersion", "BlobFolder", "DefaultDeployment")},
        }
        return _by_kind(self._checkout.preview(), self._drifted) | _apart("was left alone by hand, and by the preview")

    def drift_repaired(self) -> Why:
        self._checkout.succeed("up")
        self._checkout.succeed("refresh")
        return _by_kind(self._checkout.preview(), {}) | _apart("was left alone")

    def content(self) -> Why:
        """Other code: all that depends on it is new beside the old, and only then the old goes."""
        self._edit()
        both = {"create", "delete"}
        expected = {
            **dict.fromkeys(("BlobFolder", "CodeVersion", "BatchDeployment"), both),
            **{key: {"update"} for key in ("ScoringJob", "DefaultDeployment")},
        }
        planned = self._checkout.preview()
        self._checkout.succeed("up")
        why = _by_kind(planned, expected)
        left = self._checkout.preview()
        assert left == {}, f"planned again: {left}"
        return why

    def failed_create(self) -> Why:
        """The new deployment's and then the endpoint's operation fails; the state has them; the next up heals."""
        self._edit()
        self._fault("PUT", r"/deployments/[^/]+(\?|$)")
        failed = self._checkout.run("up")
        assert failed.code != 0
        assert "no luck" in failed.said, failed.said[-800:]
        assert "Traceback" not in failed.said, failed.said[-800:]
        found = _state(self._checkout)
        half = [
            each for each in _resources(found) if each["type"].endswith("BatchDeployment") and each.get("initErrors")
        ]
        why = {} if half and half[0].get("id") else {"BatchDeployment": "it is not recorded with id and init errors"}
        self._checkout.succeed("up")
        left = self._checkout.preview()
        assert left == {}, f"planned again: {left}"
        others = set(_ALL) - {"BatchDeployment"}
        return dict.fromkeys(others, "- shown for a deployment here; for the others in one process") | why

    def adopt(self) -> Why:
        """All but the marker and azure-native's resources is taken out of the state: an `up` finds what is there."""
        before, found = self._checkout.status(), _state(self._checkout)
        resources = _resources(found)
        ours = [each for each in resources if "dynamic/azureml" in each["type"] and not each["type"].endswith("Owner")]
        resources[:] = [each for each in resources if each not in ours]
        _state_file(self._checkout).write_text(json.dumps(found), encoding="utf-8")
        self._checkout.control("DELETE", "requests")
        self._checkout.succeed("up")
        after = self._checkout.status()
        why = {kind: "another one was made" for kind, place in PLACES.items() if before[place] != after[place]}
        made = [each["url"] for each in self._checkout.requests() if each["method"] == "PUT" and each["handled"] == 201]
        assert not made, f"created once more: {made}"
        left = self._checkout.preview()
        assert left == {}, f"planned again: {left}"
        return why | {"Owner": "- it is what tells own from foreign"} | _apart("refuses what exists, by its nature")

    def interrupted(self, times: int) -> Why:
        """While a deployment is being created. Once: what runs is waited for. Twice: it is left as it is."""
        self._edit()
        self._checkout.control("DELETE", "requests")
        self._checkout.control("PUT", "settings", {"operation_seconds": 2.0})
        with self._checkout.start("up") as process:
            until = time.monotonic() + 120
            while not any(_makes_deployment(each) for each in self._checkout.requests()):
                assert time.monotonic() < until, "no deployment was begun"
                assert process.poll() is None, "it ended before"
                time.sleep(0.05)
            for _ in range(times):
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.3)  # two signals at once would be one
            said, _ = process.communicate(timeout=240)
        self._checkout.start_lab()
        assert process.returncode != 0, said[-800:]
        half = {each["type"].rsplit(":", 1)[1] for each in _state(self._checkout)["checkpoint"]["latest"]["resources"]}
        self._checkout.succeed("up")
        left = self._checkout.preview()
        assert left == {}, f"planned again: {left}"
        status = self._checkout.status()
        assert {place: len(status[place]) for place in ("endpoints", "deployments", "codes", "models")} == {
            "endpoints": 1,
            "deployments": 1,
            "codes": 1,
            "models": 1,
        }
        return {} if "BatchEndpoint" in half else {"BatchEndpoint": "it was forgotten"}

    def earlier_releases(self) -> Why:
        """What each release recorded: no change to this one's eyes; refreshed and destroyed by its engine."""
        why = dict.fromkeys(_ALL, "- no release has recorded one")
        for golden in sorted((ROOT / "tests" / "golden").glob("state-*.json")):
            for each in json.loads(golden.read_text(encoding="utf-8"))["deployment"]["resources"]:
                kind = each["type"].rsplit(":", 1)[1]
                why |= {kind: ""} if kind in FOREIGN_KINDS else {}
                if not each["type"].startswith("pulumi-python:dynamic/azureml:"):
                    continue
                provider = dill.loads(base64.b64decode(each["inputs"]["__provider"]))  # ours
                checked = provider.check({}, each["inputs"])
                planned = provider.diff(each["id"], each["outputs"], checked.inputs)
                why[kind] = "" if not checked.failures and planned.changes is False else f"{golden.stem}: it changes"
            self._checkout.succeed("import", "--file", str(golden))
            self._checkout.succeed("refresh")
            self._checkout.succeed("destroy")
        return why

    def destroy(self) -> Why:
        """From another copy of the project that has the state and nothing else of this one; by another Python."""
        clone = SmallCheckout(self._folder, self._checkout.engine)
        clone.lab = self._checkout.lab
        if self._other_python is not None:
            clone.use_python(self._other_python.parent.parent)
        clone.succeed("destroy")
        left = clone.status()
        why = {kind: f"left: {left[place]}" for kind, place in PLACES.items() if place != "jobs" and left[place]}
        if left["blobs"]["uploads"] or left["blobs"]["outputs"]:
            why["BlobFolder"] = f"blobs are left: {left['blobs']}"
        return why

    def _edit(self) -> None:
        script = self._checkout.folder / "small" / "code" / "score.py"
        script.write_text(f"{script.read_text(encoding='utf-8')}# {time.time()}\n", encoding="utf-8")

    def _fault(self, method: str, path: str) -> None:
        script = [
            {"match": {"method": method, "path": path}, "action": "outcome", "outcome": "Failed", "message": "no luck"}
        ]
        self._checkout.control("PUT", "faults", script)

    def _inside(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.faults.census", *arguments]
        done = self._checkout.lab.run(command, cwd=ROOT, timeout=300)
        assert done.returncode == 0, done.stderr[-800:]


def _by_kind(planned: Mapping[str, str], expected: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """What is planned beside what is expected, by kind; what is in no kind's column fails the step."""
    found: dict[str, set[str]] = {}
    for name, operation in planned.items():
        found.setdefault(name.split(" ")[0], set()).add(operation)
    strange = set(found) - set(_ALL)
    assert not strange, f"planned: { {name: found[name] for name in strange} }"
    return {
        kind: f"planned {sorted(found.get(kind, ()))}, expected {sorted(expected.get(kind, ()))}"
        for kind in _ALL
        if found.get(kind, set()) != set(expected.get(kind, ()))
    }


def _apart(why: str) -> dict[str, str]:
    return dict.fromkeys(FOREIGN_KINDS, f"- {why}")


def _writes(request: Mapping[str, Any]) -> bool:
    """POSTs that read (listSecrets, a token) are none."""
    url = str(request["url"]).lower()
    return request["method"] in ("PUT", "PATCH", "DELETE") or (request["method"] == "POST" and "inference" in url)


def _makes_deployment(request: Mapping[str, Any]) -> bool:
    return request["method"] == "PUT" and "/deployments/" in str(request["url"])


def _state_file(checkout: SmallCheckout) -> Path:
    return checkout.lab.home / "pulumi" / ".pulumi" / "stacks" / "batch-scoring" / "lab.json"


def _state(checkout: SmallCheckout) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_state_file(checkout).read_text(encoding="utf-8"))
    return found


def _resources(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state["checkpoint"]["latest"]["resources"]
    return found
