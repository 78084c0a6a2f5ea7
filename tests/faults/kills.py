"""kill -9 of the engine, a provider process, the lab, or all of them, at random moments; one plain `up` heals each."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psutil

from tests.faults.small_checkout import SmallCheckout
from tests.lifecycle.checkout import ROOT, Ran

VICTIMS = ("engine", "provider", "lab", "machine")
"""`machine`: all of them at once, as when the power goes."""
VERBS = ("create", "update", "content", "destroy")
"""What is under way: an `up` from nothing, of settings, of new content, or a destroy."""
_OURS = re.compile(r"/(codes|models|data)/[^/]+/versions/[^/]+$|/batchEndpoints/[^/]+(/deployments/[^/]+)?$")
_EXISTS = re.compile(r"cannot create already existing resource '(/subscriptions/[^']+)'")
_LONGEST = 240.0  # seconds of one command


@dataclass
class Tally:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    """`victim, verb` -> how often."""
    amid: int = 0
    """Kills of runs that had begun to write."""
    healed: int = 0
    by_hand: list[str] = field(default_factory=list)
    """What a plain `up` did not heal of our kinds."""
    foreign_repairs: list[str] = field(default_factory=list)
    """azure-native resources that had to be deleted, because its create refuses what exists."""
    created_twice: list[str] = field(default_factory=list)
    started_twice: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    not_empty: list[str] = field(default_factory=list)
    """Previews after an `up` that were not empty."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        found = (self.by_hand, self.created_twice, self.started_twice, self.orphans, self.not_empty)
        return any(found) or self.healed != sum(self.kills.values())

    def __str__(self) -> str:
        total = sum(self.kills.values())
        where = ", ".join(
            f"{victim} {sum(n for key, n in self.kills.items() if key.startswith(victim))}" for victim in VICTIMS
        )
        return (
            f"{total} kills ({where}; {self.amid} after the first write): {self.healed} healed by one plain up, "
            f"{len(self.by_hand)} repairs by hand, "
            f"{len(self.orphans)} orphans, {len(self.created_twice)} resources created twice, "
            f"{len(self.started_twice)} jobs started twice, {len(self.not_empty)} previews not empty; "
            f"azure-native's repairs apart: {len(self.foreign_repairs)}"
        )


class Kills:
    """A stack that is deployed, changed and destroyed while things are killed."""

    def __init__(self, checkout: SmallCheckout, seed: int, engines: Sequence[str], say: Callable[[str], None]) -> None:
        self._checkout, self._random, self._engines, self._say = checkout, random.Random(seed), engines, say
        self._took = dict.fromkeys(VERBS, 0.001)
        # Seconds that a verb takes from when its victim lives.
        self._requests: dict[tuple[float, str, str], dict[str, Any]] = {}
        self._destroys: list[float] = []
        self._number = 0
        self._writes = 0
        # Of the run that is killed, up to then.
        self.tally = Tally()

    def run(self, count: int, seconds: float | None = None) -> Tally:
        """`count` kills; then everything is destroyed and counted.

        `seconds`: how long a verb is taken to last from when its victim lives; measured where it is not given.
        """
        began = time.monotonic()
        self._start_lab()
        self._deployed = False
        for verb in ("create", "destroy") if seconds is None else ():
            # A moment that never comes: the whole is run, and measured.
            self._killed(verb, "engine", fraction=1e6)
        self._took["update"] = self._took["content"] = self._took["create"]
        if seconds is not None:
            self._took = dict.fromkeys(VERBS, seconds)
        while sum(self.tally.kills.values()) < count:
            self._one(sum(self.tally.kills.values()) + 1, count)
        self._finish()
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _one(self, number: int, count: int) -> None:
        verb = self._random.choice(VERBS) if self._deployed else "create"
        victim = self._random.choice(VICTIMS)
        self._checkout.engine = self._random.choice(self._engines)
        if verb == "create" and self._deployed:
            self._destroy()
        self._prepare(verb)
        fraction = self._random.random()
        landed, ran = self._killed(verb, victim, fraction)
        if not landed:  # it had ended before
            self._deployed = verb != "destroy"
            if ran.code != 0:
                self._heal(f"{verb}, not killed")
            return
        self.tally.kills[f"{victim}, {verb}"] += 1
        self.tally.amid += self._writes > 0
        engine, began = self._checkout.engine, time.monotonic()
        self._checkout.engine = self._random.choice(self._engines)
        healed = self._heal(f"{victim} killed in {verb}")
        self._deployed = True
        self.tally.healed += healed
        result, took = "healed" if healed else "NOT HEALED", time.monotonic() - began
        self._say(
            f"{number}/{count} kill -9 of the {victim} at {fraction:.0%} of {verb}, after {self._writes} writes "
            f"({engine}): {result} in {took:.1f} s ({self._checkout.engine})"
        )

    def _prepare(self, verb: str) -> None:
        self._number += 1
        if verb == "update":
            self._checkout.configure(
                deployments__small__mini_batch_size=1 + self._number, endpoint__description=f"change {self._number}"
            )
        if verb == "content":
            script = self._checkout.folder / "small" / "code" / "score.py"
            script.write_text(script.read_text(encoding="utf-8") + f"# {self._number}\n", encoding="utf-8")

    def _killed(self, verb: str, victim: str, fraction: float) -> tuple[bool, Ran]:
        """Run the verb and kill within it; whether that landed, and what the run said."""
        started = time.time()
        if verb == "destroy":
            self._destroys.append(started)
        with self._checkout.start("destroy" if verb == "destroy" else "up") as process:
            try:
                pids = self._living(process, victim)
                began = time.monotonic()
                landed = False
                if pids:
                    self._sleep_while(process, fraction * self._took[verb])
                    if process.poll() is None:
                        self._remember()
                        self._writes = self._writes_since(started)
                        landed = _kill(self._pids(process, victim))
                if landed and victim == "lab":
                    self._start_lab()
                said, _ = process.communicate(timeout=_LONGEST)
            except subprocess.TimeoutExpired:
                _kill(_family(process))
                said, _ = process.communicate()
                self.tally.by_hand.append(f"{verb} did not end within {_LONGEST:.0f} s of a kill of the {victim}")
        if pids and not landed:
            self._took[verb] = time.monotonic() - began
        if landed and victim == "machine":
            self._start_lab()
        return landed, Ran(process.returncode, said)

    def _living(self, process: subprocess.Popen[str], victim: str) -> list[int]:
        """Wait for the victim to be there."""
        while process.poll() is None:
            pids = self._pids(process, "engine" if victim in ("lab", "machine") else victim)
            if pids:
                return pids
            time.sleep(0.02)
        return []

    def _pids(self, process: subprocess.Popen[str], victim: str) -> list[int]:
        lab = [self._checkout.lab.facts.pid] if victim in ("lab", "machine") else []
        if victim == "lab":
            return lab
        if victim == "machine":
            return [*_family(process), *lab]
        found = []
        for pid in _family(process):
            role = _role(pid)
            if role == victim:
                found.append(pid)
        return found[:1] if victim == "engine" else self._random.sample(sorted(found), min(1, len(found)))

    def _sleep_while(self, process: subprocess.Popen[str], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)

    def _heal(self, after: str) -> bool:
        """One plain `up`; whether that sufficed, azure-native's own refusals aside."""
        for _ in range(6):
            ran = self._checkout.run("up")
            if ran.code == 0:
                self._look()
                return True
            refused = _EXISTS.search(ran.said)
            if not refused:
                break
            self.tally.foreign_repairs.append(f"{refused.group(1).rpartition('/workspaces/')[2]} after {after}")
            self._inside("delete", refused.group(1))
        self.tally.by_hand.append(f"{after}: {_last_words(ran)}")
        for _ in range(3):
            if self._checkout.run("up").code == 0:
                break
        return False

    def _look(self) -> None:
        """One endpoint, one deployment, and nothing to do."""
        status = self._checkout.status()
        for kind in ("endpoints", "deployments"):
            if len(status[kind]) != 1:
                self.tally.orphans.append(f"{len(status[kind])} {kind} after an up: {status[kind]}")
        if self._random.random() < 0.2:
            planned = self._checkout.preview()
            if planned:
                self.tally.not_empty.append(str(planned))
        self._remember()

    def _destroy(self) -> None:
        self._destroys.append(time.time())
        ran = self._checkout.run("destroy")
        if ran.code != 0:
            self.tally.by_hand.append(f"destroy: {_last_words(ran)}")
        self._deployed = False

    def _finish(self) -> None:
        if not self._deployed:
            self._heal("the last destroy")
        self._remember()
        endpoint = self._checkout.status()["endpoints"][0]
        jobs = json.loads(self._inside("jobs", endpoint))
        self.tally.started_twice = started_twice(jobs, self._destroys)
        self._destroy()
        self._remember()
        self.tally.created_twice = created_twice(self._requests.values())
        left = self._checkout.status()
        self.tally.orphans += [
            each for kind, ids in left.items() if kind not in ("jobs", "blobs") for each in (ids or [])
        ]
        self.tally.orphans += [
            f"{left['blobs'][kind]} blobs ({kind})" for kind in ("uploads", "outputs") if left["blobs"][kind]
        ]

    def _start_lab(self) -> None:
        self._checkout.start_lab()
        self._checkout.control("PUT", "settings", {"request_log": 100_000})

    def _remember(self) -> None:
        """The lab's request log lives as long as its process: it is read before each kill."""
        for each in self._checkout.requests():
            self._requests[each["time"], each["method"], each["url"]] = each

    def _writes_since(self, started: float) -> int:
        return sum(1 for at, method, _ in self._requests if at >= started and method in ("PUT", "DELETE"))

    def _inside(self, *arguments: str) -> str:
        done = self._checkout.lab.run(
            [sys.executable, "-m", "tests.faults.census", *arguments], cwd=ROOT, timeout=300, check=True
        )
        return done.stdout


def created_twice(requests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of our kinds with two 201 and no DELETE of it, or of what it lies below, between."""
    standing: set[str] = set()
    twice = []
    for each in sorted(requests, key=lambda request: float(request["time"])):
        path = str(each["url"]).partition("://")[2].partition("/")[2].partition("?")[0]
        arm_id = f"/{path}".lower()
        if each["method"] == "DELETE" and each["handled"] in (200, 202, 204):
            standing = {one for one in standing if one != arm_id and not one.startswith(f"{arm_id}/")}
        if each["method"] == "PUT" and each["handled"] == 201 and _OURS.search(f"/{path}"):
            if arm_id in standing:
                twice.append(arm_id)
            standing.add(arm_id)
    return twice


def started_twice(jobs: Sequence[Mapping[str, Any]], destroys: Sequence[float]) -> list[str]:
    """Places with two jobs, and keys with a second job while the first has not failed, between two destroys.

    A destroy deletes the outputs of its jobs, so that the next `up` rightly starts one for the same key.
    """
    twice = []
    seen: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for job in sorted(jobs, key=lambda each: str(each["created"])):
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", str(job["created"]).replace("Z", "+00:00")))
        epoch = sum(1 for each in destroys if each <= at.timestamp())
        key = str(job["output"]).rsplit("/", 2)[0]
        before = seen.setdefault((key, epoch), [])
        if any(each["output"] == job["output"] or each["status"] not in ("Failed", "Canceled") for each in before):
            twice.append(f"{job['name']} at {job['output']}")
        before.append(job)
    return twice


def _family(process: subprocess.Popen[str]) -> list[int]:
    """The process and all below it, while they live."""
    try:
        root = psutil.Process(process.pid)
        return [process.pid, *(each.pid for each in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _role(pid: int) -> str:
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
    if re.search(r"pulumi[/.]dynamic|pulumi-resource-pulumi-python|lab\.azure_native", command):
        return "provider"
    if re.search(r"-m lab\.engine\b|(^|/)pulumi (up|destroy)", command):
        return "engine"
    return ""


def _kill(pids: Iterable[int]) -> bool:
    """Whether at least one was there to be killed."""
    landed = False
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            landed = True
        except ProcessLookupError:
            continue
    return landed


def _last_words(ran: Ran) -> str:
    lines = [line.strip() for line in ran.said.splitlines() if line.strip()]
    wrong = [line for line in lines if "error" in line.lower()]
    return f"exit code {ran.code}: {' | '.join((wrong or lines)[-4:])[:1200]}"
