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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import psutil

from tests.faults.deck import POWER, STARTING, Blow, deal
from tests.faults.small_checkout import OPERATION_SECONDS, SmallCheckout
from tests.faults.tally import Hit, Tally, vacuous
from tests.lifecycle.checkout import ROOT, Ran

_OURS = re.compile(r"/(codes|models|data)/[^/]+/versions/[^/]+$|/batchEndpoints/[^/]+(/deployments/[^/]+)?$")
_ONE = ("endpoints", "deployments", "codes", "models", "environments", "computes")
"""What there is one of after an `up`."""
_TAKE = re.compile(r"python -m stacks take \S+ '([^']+)' '([^']+)', and run `up` again")
"""What the end of a failed `up` says of what azure-native refuses to create."""
_OURS_TO_KILL = "provider pulumi.dynamic"
_LONGEST = 240.0  # seconds of one command
_TRIES = 4
"""How often a run is begun anew whose end came before its kill."""
_PATIENCE = 3.0
"""Seconds for which a kill that is to come amid an operation waits for one."""
PACE = 0.8
"""Seconds of the lab's operations in runs that are killed: long enough to be hit."""
_REAPED = 20.0
"""Seconds after which no process of a killed run may be left."""


class Kills:
    """A stack that is deployed, changed and destroyed while things are killed."""

    def __init__(self, checkout: SmallCheckout, seed: int, engines: Sequence[str], say: Callable[[str], None]) -> None:
        self._checkout, self._random, self._engines, self._say = checkout, random.Random(seed), engines, say
        self._took: dict[tuple[str, str], tuple[float, float]] = {}
        # Engine and verb -> seconds until the first request, and from there to the end.
        self._requests: dict[tuple[float, str, str], dict[str, Any]] = {}
        self._destroys: list[float] = []
        self._number = 0
        self._deployed = False
        self._begun: set[psutil.Process] = set()
        # Processes that killed runs began.
        self.tally = Tally()

    def run(self, count: int, took: tuple[float, float] | None = None) -> Tally:
        """`count` kills; then everything is destroyed and counted.

        `took`: how long a run is taken to last before its first request, and after it; measured where it is not given.
        """
        self._start_lab()
        for engine in self._engines:
            for verb in ("create", "content", "destroy"):
                self._took[engine, verb] = took or self._measured(engine, verb)
            self._took[engine, "settings"] = self._took[engine, "content"]
        blows = deal(count, self._engines, self._random)
        for number, blow in enumerate(blows, 1):
            self._one(blow, f"{number}/{count}")
        self._finish()
        self.tally.vacuous += vacuous(self.tally, blows)
        return self.tally

    def _measured(self, engine: str, verb: str) -> tuple[float, float]:
        self._checkout.engine = engine
        self._prepare(verb)
        began = time.time()
        self._remember()
        self._checkout.control("DELETE", "requests")
        self._pace(PACE)
        if verb == "destroy":
            self._destroys.append(began)
        ran = self._checkout.run("destroy" if verb == "destroy" else "up")
        ended = time.time()
        if ran.code != 0:
            self.tally.by_hand.append(f"{verb}, not killed: {_last_words(ran)}")
        self._deployed = verb != "destroy"
        first = min([each["time"] for each in self._checkout.requests()], default=ended)
        return first - began, ended - first

    def _one(self, blow: Blow, number: str) -> None:
        fraction = blow.fraction
        for _ in range(_TRIES):
            if blow.phase == "up" and self._deployed:
                self._destroy()
            self._checkout.engine = blow.engine
            self._prepare(blow.verb)
            hit, ran = self._killed(blow, fraction)
            if hit is not None:
                break
            self._deployed = blow.phase != "destroy"
            if ran.code != 0 or not self._deployed:
                self._heal(f"{blow.verb}, not killed")
            fraction *= 0.7  # it had ended before: this machine was slower when it was measured
        else:
            self.tally.vacuous.append(f"no kill of the {blow.victim} in {blow.verb} ({blow.engine}) came in time")
            return
        self.tally.hits.append(hit)
        began = time.monotonic()
        self._checkout.engine = self._random.choice(self._engines)
        healed = self._heal(f"{blow.victim} killed in {blow.verb}")
        self.tally.healed += healed
        result, took = "healed" if healed else "NOT HEALED", time.monotonic() - began
        self._say(
            f"{number} kill -9 of the {blow.victim} at {fraction:.0%} of {blow.verb} ({blow.engine}), {hit}: {result} "
            f"in {took:.1f} s ({self._checkout.engine})"
        )

    def _prepare(self, verb: str) -> None:
        self._number += 1
        if verb == "settings":
            self._checkout.configure(
                deployments__small__mini_batch_size=1 + self._number, endpoint__description=f"change {self._number}"
            )
        if verb == "content":
            script = self._checkout.folder / "small" / "code" / "score.py"
            script.write_text(script.read_text(encoding="utf-8") + f"# {self._number}\n", encoding="utf-8")

    def _killed(self, blow: Blow, fraction: float) -> tuple[Hit | None, Ran]:
        """Run the verb and kill within it; what was hit, None where it had ended before, and what the run said."""
        self._remember()
        self._checkout.control("DELETE", "requests")
        self._pace(PACE)
        if blow.phase == "destroy":
            self._destroys.append(time.time())
        hit = None
        with self._checkout.start("destroy" if blow.phase == "destroy" else "up") as process:
            try:
                self._await(process, blow, fraction)
                self._begun |= set(_family(process))
                pids = self._pids(process, blow.victim)
                if pids and process.poll() is None:
                    seen = self._hit(blow)
                    hit = seen if _kill(pids) else None
                if hit and blow.victim == "lab":
                    self._start_lab()
                said, _ = process.communicate(timeout=_LONGEST)
            except subprocess.TimeoutExpired:
                _kill(each.pid for each in _family(process))
                said, _ = process.communicate()
                self.tally.by_hand.append(f"{blow.verb} did not end within {_LONGEST:.0f} s of a kill of {blow.victim}")
        if hit and blow.victim == POWER:
            self._start_lab()
        if hit:
            if blow.victim == "engine" and process.returncode == 0:
                hit = None  # it had done all, and was about to go
            else:
                hit = replace(hit, failed=process.returncode != 0)
        self._pace(OPERATION_SECONDS)
        return hit, Ran(process.returncode, said)

    def _await(self, process: subprocess.Popen[str], blow: Blow, fraction: float) -> None:
        """Until the moment of the kill has come and the victim is there, or the run has ended."""
        before, after = self._took[blow.engine, blow.verb]
        if fraction < STARTING:
            self._sleep_while(process, fraction / STARTING * before)
        else:
            while process.poll() is None and not self._checkout.requests():
                time.sleep(0.05)
            self._sleep_while(process, (fraction - STARTING) / (1 - STARTING) * after)
        while process.poll() is None and not self._pids(process, blow.victim):
            time.sleep(0.02)
        until = time.monotonic() + _PATIENCE
        while blow.amid and process.poll() is None and time.monotonic() < until:
            if under_way(self._checkout.control("GET", "overview")):
                break
            time.sleep(0.05)

    def _hit(self, blow: Blow) -> Hit:
        """How far the run is, as the lab sees it, just before the kill."""
        self._remember()
        writes = sum(1 for each in self._checkout.requests() if _writes(each))
        return Hit(blow, writes, under_way(self._checkout.control("GET", "overview")))

    def _pids(self, process: subprocess.Popen[str], victim: str) -> list[int]:
        lab = [self._checkout.lab.facts.pid]
        if victim == "lab":
            return lab
        family = _family(process)
        if victim == POWER:
            return [*(each.pid for each in family), *lab]
        found = {each.pid: role for each in family if (role := _role(each)).startswith(victim)}
        if victim == "engine" or not found:
            return list(found)
        # azure-native's process has little to do: three of four are ours.
        ours = [pid for pid, role in found.items() if role == _OURS_TO_KILL]
        return [self._random.choice(ours if ours and self._random.random() < 0.75 else list(found))]

    def _sleep_while(self, process: subprocess.Popen[str], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)

    def _heal(self, after: str) -> bool:
        """One plain `up`; whether that sufficed, azure-native's own refusals aside: those by the command it is told."""
        ran = self._checkout.run("up")
        for _ in range(6):
            refused = _TAKE.findall(ran.said)
            if ran.code == 0 or not refused:
                break
            for urn, arm_id in refused:
                self.tally.foreign_repairs.append(f"{arm_id.rpartition('/workspaces/')[2]} after {after}")
                taken = self._checkout.run("take", urn, arm_id)
                if taken.code != 0:
                    self.tally.by_hand.append(f"{after}, then `take`: {_last_words(taken)}")
            ran = self._checkout.run("up")
        self._deployed = True
        if ran.code == 0:
            self._look()
            return True
        self.tally.by_hand.append(f"{after}: {_last_words(ran)}")
        for _ in range(3):
            if self._checkout.run("up").code == 0:
                break
        return False

    def _look(self) -> None:
        """One of each, the default is set, and nothing to do."""
        status = self._checkout.status()
        for kind in _ONE:
            if len(status[kind]) > 1:
                self.tally.orphans.append(f"{len(status[kind])} {kind} after an up: {status[kind]}")
            if not status[kind]:
                self.tally.by_hand.append(f"no {kind} after an up")
        if not all(each["default"] for each in self._checkout.control("GET", "overview")["endpoints"]):
            self.tally.by_hand.append("no default deployment after an up")
        if not status["blobs"]["uploads"]:
            self.tally.by_hand.append("no uploads after an up")
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
        self._reap()
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

    def _pace(self, seconds: float) -> None:
        self._checkout.control("PUT", "settings", {"operation_seconds": seconds, "compute_seconds": seconds})

    def _reap(self) -> None:
        """Processes of killed runs end by themselves; the CLI's own language host does not (Pulumi's, not ours)."""
        theirs = [each for each in self._begun if each.is_running() and "pulumi-language-python" in each.name()]
        _kill(each.pid for each in theirs)
        _, left = psutil.wait_procs(self._begun - set(theirs), timeout=_REAPED)
        self.tally.left_running += [" ".join(each.cmdline())[:200] for each in left if each.is_running()]

    def _start_lab(self) -> None:
        self._checkout.start_lab()
        self._checkout.control("PUT", "settings", {"request_log": 100_000})

    def _remember(self) -> None:
        """The lab's request log lives as long as its process: it is read before each kill."""
        for each in self._checkout.requests():
            self._requests[each["time"], each["method"], each["url"]] = each

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


def under_way(overview: Mapping[str, Any]) -> list[str]:
    """Names of what has an operation going on, and of jobs that run, in the lab's overview."""
    things = [
        *overview["endpoints"],
        *overview["computes"],
        *(d for e in overview["endpoints"] for d in e["deployments"]),
    ]
    going = [str(each["name"]) for each in things if each["state"] not in ("Succeeded", "Failed", "Canceled")]
    return going + [str(each["name"]) for each in overview["jobs"] if each["active"]]


def _writes(request: Mapping[str, Any]) -> bool:
    return request["method"] in ("PUT", "DELETE") or bool(re.search(r"/jobs(\?|$)", str(request["url"])))


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all below it, while they live."""
    try:
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _role(process: psutil.Process) -> str:
    """Of those that only start another one, as the CLI's scripts do, there is none to be killed."""
    try:
        command = " ".join(process.cmdline())
        provider = re.search(r"(pulumi\.dynamic|lab\.azure_native) \S+:\d+$", command)
        if provider and not process.children():
            return f"provider {provider[1]}"
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
    return "engine" if re.search(r"-m lab\.engine (up|destroy)|^\S*pulumi (up|destroy)", command) else ""


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
