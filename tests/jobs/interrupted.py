"""Submits that are interrupted at random moments and typed again until they succeed: exactly as many jobs.

    python -m tests.jobs.interrupted --submits 200 --seed 7

Every submit is a process of its own at a lab of its own. It is killed, or sent Ctrl-C, at a moment drawn from the whole
of its life, up to three times, some answers to its POST are lost, and the lab lists new jobs late. The command lines
are a few that take turns, so that a finished submission is followed by one with the very same words.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lab.testing import LabUnderTest, running_lab
from tests.emulator.in_process_lab import WS, deployment_body, endpoint_body

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = f"{WS}/batchEndpoints/interrupted"
LANES = 4
"""Commands at once, each with words of its own."""
LISTED_AFTER = 3.0  # seconds
_MOST = 3  # interruptions of one submit
_LOST = 0.1
"""Share of submits of which an answer to the POST is lost."""


@dataclass
class Outcome:
    jobs: int = 0
    """In the lab, at the end."""
    told: list[str] = field(default_factory=list)
    """The job's name that each successful submit told."""
    interruptions: Counter[str] = field(default_factory=Counter)
    lost_answers: int = 0
    typed: int = 0
    failures: list[str] = field(default_factory=list)

    def wrong(self, submits: int) -> list[str]:
        found = list(self.failures)
        if self.jobs != submits:
            found.append(f"{submits} submits made {self.jobs} jobs")
        if len(set(self.told)) != submits:
            found.append(f"{submits} submits told of {len(set(self.told))} different jobs")
        return found


class Interrupted:
    def __init__(self, lab: LabUnderTest, folder: Path, seed: int) -> None:
        self._lab = lab
        self._folder = folder
        self._random = random.Random(seed)
        self._environment = lab.env
        self.outcome = Outcome()
        self._life = 2.0

    def run(self, submits: int) -> Outcome:
        self._prepare()
        lanes = min(LANES, submits)
        shares = [submits // lanes + (lane < submits % lanes) for lane in range(lanes)]
        draws = [random.Random(self._random.random()) for _ in range(lanes)]
        self._life = self._measured()
        with ThreadPoolExecutor(max_workers=lanes) as pool:
            list(pool.map(self._lane, range(lanes), shares, draws))
        self.outcome.jobs = self._count() - 1  # the one by which the length of a life was measured
        return self.outcome

    def _lane(self, lane: int, submits: int, draw: random.Random) -> None:
        for _ in range(submits):
            if draw.random() < _LOST:
                self._lose_an_answer()
            self._submit(lane, draw)

    def _submit(self, lane: int, draw: random.Random) -> None:
        """Type the command until it succeeds; the last time nobody interrupts it."""
        for interruptions in range(draw.randint(1, _MOST), -1, -1):
            number = draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT)) if interruptions else None
            code, out, err = self._type(self._input(lane), number, draw.uniform(0, self._life * 1.1))
            self.outcome.typed += 1
            if code == 0:
                self.outcome.told.append(_job_in(out))
                return
            if number is None:
                self.outcome.failures.append(f"exit code {code}: {err[-500:]}")
                return
            self.outcome.interruptions[number.name] += 1

    def _type(self, given: Path, number: signal.Signals | None, after: float) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "jobs", "submit", str(given), "--json", "--endpoint", ENDPOINT]
        process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = process.communicate(timeout=after if number else 180)
        except subprocess.TimeoutExpired:
            process.send_signal(number or signal.SIGKILL)
            out, err = process.communicate(timeout=180)
        return process.returncode, out, err

    def _measured(self) -> float:
        """Seconds of one undisturbed submit."""
        given = self._folder / "measured.csv"
        given.write_text("x")
        began = time.monotonic()
        code, _, err = self._type(given, None, 0)
        if code != 0:
            raise AssertionError(f"the first submit failed: {err}")
        return time.monotonic() - began

    def _input(self, lane: int) -> Path:
        file = self._folder / f"lane-{lane}.csv"
        file.write_text(f"{lane}\n")
        return file

    def _prepare(self) -> None:
        self._control("PUT", "settings", {"max_drivers": 0, "delayed_listing": LISTED_AFTER, "operation_seconds": 0.0})
        done = self._lab.run([sys.executable, "-m", "tests.jobs.interrupted", "--prepare"], cwd=ROOT)
        if done.returncode != 0:
            raise AssertionError(f"the endpoint could not be made: {done.stderr}")

    def _lose_an_answer(self) -> None:
        self.outcome.lost_answers += 1
        match = {"method": "POST", "path": "^/jobs", "host": "inference"}
        self._control("POST", "faults", [{"match": match, "action": "drop", "when": "after"}])

    def _count(self) -> int:
        time.sleep(LISTED_AFTER)
        return len(self._control("GET", "status", None)["jobs"])

    def _control(self, method: str, path: str, body: Any) -> Any:
        facts = self._lab.facts
        answer = httpx.request(
            method,
            f"https://127.0.0.1:{facts.emulator_port}/_lab/{path}",
            json=body,
            headers={"Authorization": f"Bearer {facts.control_token}"},
            verify=_trusting(facts.ca_file),
            trust_env=False,
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


def prepare() -> None:
    """An endpoint with a default deployment, made from inside the lab; its jobs wait, since the lab has no drivers."""
    from providers.arm import ArmClient

    arm = ArmClient()

    def put(path: str, body: Any) -> None:
        arm.put(f"{WS}/{path}", body, api_version="2025-12-01", deadline=60)

    cluster = {"vmSize": "Standard_DS2_v2", "scaleSettings": {"maxNodeCount": 2}}
    put("computes/cpu", {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": cluster}})
    blob = "https://labstore.blob.core.windows.net/none/code"
    put("codes/code/versions/1", {"properties": {"codeUri": blob}})
    put("models/model/versions/1", {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/m"}})
    put("environments/env/versions/1", {"properties": {"image": "i", "condaFile": "dependencies: [pip]"}})
    put("batchEndpoints/interrupted", endpoint_body())
    put("batchEndpoints/interrupted/deployments/dep-1", deployment_body())
    put("batchEndpoints/interrupted", endpoint_body(defaults={"deploymentName": "dep-1"}))


def interrupted(submits: int, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, running_lab(Path(folder) / "lab") as lab:
        return Interrupted(lab, Path(folder), seed).run(submits)


def _job_in(out: str) -> str:
    events = [json.loads(line) for line in out.splitlines()]
    return str(next(event["job"] for event in events if event["event"] in ("submitted", "found")))


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.jobs.interrupted", description="Interrupted submits.")
    parser.add_argument("--submits", type=int, default=200)
    parser.add_argument("--seed", type=int, help="of the moments; printed when it is not given")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.prepare:
        prepare()
        return 0
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    began = time.monotonic()
    outcome = interrupted(asked.submits, seed)
    how = ", ".join(f"{count} by {name}" for name, count in sorted(outcome.interruptions.items()))
    print(
        f"{asked.submits} submits, typed {outcome.typed} times, interrupted {outcome.interruptions.total()} times "
        f"({how}), {outcome.lost_answers} answers lost, new jobs listed {LISTED_AFTER:.0f} s late: "
        f"{outcome.jobs} jobs. Seed {seed}, {time.monotonic() - began:.0f} s"
    )
    wrong = outcome.wrong(asked.submits)
    for each in wrong:
        print(f"  {each}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
