"""dev, staging and prod side by side in one lab: previewed, promoted, drifted by hand, repaired, destroyed.

The stack files are the project's own, with the lab's subscription, group and workspace for the placeholders, and a
model that needs no packages.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import identity
from tests.faults.small_checkout import ROWS, SmallCheckout
from tests.lifecycle.checkout import ROOT, Ran

STACKS = ("dev", "staging", "prod")
PLACES = {
    "subscription_id": identity.SUBSCRIPTION_ID,
    "resource_group": identity.RESOURCE_GROUP,
    "workspace": identity.WORKSPACE,
}
SMALL = {
    "examples/digits/code": "small/code",
    "examples/digits/model": "small/model",
    "examples/digits/conda.yml": "small/conda.yml",
    "examples/digits/images": "small/data",
}


class ThreeStacks(SmallCheckout):
    """`on(stack, verb)` runs a verb on one of them."""

    def __init__(self, folder: Path, engine: str) -> None:
        super().__init__(folder, engine)
        for stack in STACKS:
            self.file(stack).write_text(self._of_the_lab(stack), encoding="utf-8")

    def _of_the_lab(self, stack: str) -> str:
        text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
        for name, value in PLACES.items():
            text = re.sub(rf"(?m)^(  batch-scoring:{name}:) .*$", rf"\1 {value}", text)
        for old, new in SMALL.items():
            text = text.replace(old, new)
        return re.sub(r"(?m)^    check_script: .*$", f"    expected_rows: {ROWS}", text)

    def file(self, stack: str) -> Path:
        return self.folder / "stacks" / f"Pulumi.{stack}.yaml"

    def deployment(self, stack: str) -> dict[str, Any]:
        found = yaml.safe_load(self.file(stack).read_text(encoding="utf-8"))
        deployment: dict[str, Any] = found["config"]["batch-scoring:deployments"]["digits"]
        return deployment

    def on(self, stack: str, verb: str, *options: str) -> str:
        ran = self.stacks(verb, stack, *options)
        assert ran.code == 0, f"{verb} {stack}: {ran}"
        return ran.said

    def stacks(self, *arguments: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "stacks", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        return Ran(done.returncode, done.stdout)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[ThreeStacks]:
    """On the embedded engine: what differs between engines is tested elsewhere."""
    copy = ThreeStacks(tmp_path, "embedded")
    copy.start_lab()
    try:
        yield copy
    finally:
        copy.lab.stop()


def promote(three: ThreeStacks, source: str, target: str) -> None:
    """Promote, deploy, and see that nothing was uploaded or registered for it."""
    comments = [line for line in three.file(target).read_text(encoding="utf-8").splitlines() if "#" in line]
    before = three.status()
    said = three.on(source, "promote", target)
    assert f"stacks/Pulumi.{target}.yaml names them now" in said

    planned = three.on(target, "preview")
    three.on(target, "up")

    after = three.status()
    assert "BlobFolder digits" not in planned
    assert [line for line in three.file(target).read_text(encoding="utf-8").splitlines() if "#" in line] == comments
    assert {kind: after[kind] for kind in ("codes", "models", "environments")} == {
        kind: before[kind] for kind in ("codes", "models", "environments")
    }


def test_three_stacks_live_side_by_side_from_a_first_try_to_nothing(three: ThreeStacks) -> None:
    refused = three.stacks("promote", "dev", "staging")
    assert refused.code == 2
    assert "no stack named 'dev'" in refused.said

    assert "BlobFolder digits-code" in three.on("dev", "preview")
    three.on("dev", "up")
    promote(three, "dev", "staging")
    promote(three, "staging", "prod")
    made_of = [three.deployment(stack) for stack in ("staging", "prod")]
    assert made_of[0] == made_of[1]
    assert made_of[0]["code"].endswith("/versions/1")

    # dev goes on; what prod runs on stays.
    three.edit("small/code/score.py", "import os\n", "import os  # newer\n")
    three.on("dev", "up")
    assert made_of[0]["code"] in three.status()["codes"]
    assert len(three.status()["codes"]) == 2

    # Somebody takes prod's default away by hand: seen, repaired, and nothing else is touched.
    (endpoint,) = [each for each in three.status()["endpoints"] if each == _output(three, "prod", "endpoint_id")]
    _without_default(three, endpoint)
    default = re.compile(r"DefaultDeployment \S+-default ")
    assert default.search(three.on("prod", "refresh"))
    assert default.search(three.on("prod", "up"))
    assert "unchanged" in three.on("prod", "up")

    there = three.status()
    refused = three.stacks("destroy", "prod")
    assert refused.code != 0
    assert f"{endpoint} is protected; nothing was deleted" in refused.said
    assert three.status() == there
    three.edit("stacks/Pulumi.prod.yaml", "protect: true", "protect: false")
    three.on("prod", "up")
    for stack in reversed(STACKS):
        three.on(stack, "destroy")
    assert {kind for kind, found in three.status().items() if found and kind not in ("jobs", "blobs")} == {
        "codes",
        "models",
        "environments",
    }, "what dev has kept"
    assert "deleted" in three.on("dev", "prune")
    left = three.status()
    jobs, blobs = left.pop("jobs"), left.pop("blobs")
    assert not any(left.values()), left
    assert (blobs["uploads"], blobs["outputs"]) == (0, 0), "of the jobs their records and logs are left, as in Azure"
    assert len(jobs) == 4


def _output(three: ThreeStacks, stack: str, name: str) -> Any:
    import json

    said = three.on(stack, "output", "--json")
    return json.loads(said[said.index("{") :])[name]


def _without_default(three: ThreeStacks, endpoint: str) -> None:
    """What somebody may do in the portal: another program, with the product's own client, in the lab."""
    script = (
        "import sys\nfrom providers import arm\nc = arm.client()\nid_ = sys.argv[1]\n"
        "body = c.get(id_, api_version='2025-12-01')\n"
        "body = {k: v for k, v in body.items() if k in ('location', 'tags', 'properties')}\n"
        "body['properties'] = {'authMode': 'AADToken', 'defaults': {'deploymentName': None}}\n"
        "c.put(id_, body, api_version='2025-12-01', deadline=60)\n"
    )
    subprocess.run(
        [sys.executable, "-m", "lab", "run", "--", sys.executable, "-c", script, endpoint],
        cwd=three.folder,
        env=three.environment,
        check=True,
        timeout=120,
    )
