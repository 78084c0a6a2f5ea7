"""Two endpoints on two clusters in one stack: the example of docs/stacks.md, with a model that needs no packages.

It begins as a stack with one of each, in the short form, whose endpoint the second one must leave alone.
"""

from __future__ import annotations

import json
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
from tests.lifecycle.test_lifecycle_three_stacks import SMALL

MODEL = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}/models/digits/versions/3"
)
REGISTER = """
same = c.get(sys.argv[2], **v)["properties"]
c.put(sys.argv[1], {"properties": {"modelUri": same["modelUri"], "modelType": "custom_model"}}, **v, deadline=60)
"""


class TwoEndpoints(SmallCheckout):
    def example(self) -> dict[str, Any]:
        """The stack file of the documentation."""
        page = (ROOT / "docs" / "stacks.md").read_text(encoding="utf-8")
        text = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
        for old, new in SMALL.items():
            text = text.replace(old, new)
        found = yaml.safe_load(re.sub(r"(?m)^( *)check_script: .*$", rf"\1expected_rows: {ROWS}", text))
        return dict(found["config"])

    def write(self, config: dict[str, Any]) -> None:
        file = self.folder / "stacks" / "Pulumi.lab.yaml"
        file.write_text(yaml.safe_dump({"config": config}, sort_keys=False), encoding="utf-8")

    def on_the_model(self, script: str, *words: str) -> None:
        """What another program does with `digits:3`, the registry's model, which the lab takes the workspace's for."""
        begin = "import sys\nfrom providers import arm\nc, v = arm.client(), {'api_version': '2025-12-01'}\n"
        subprocess.run(
            [sys.executable, "-m", "lab", "run", "--", sys.executable, "-c", begin + script, MODEL, *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            timeout=120,
        )

    def jobs(self, *words: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "jobs", *words, "--stack", "lab"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return Ran(done.returncode, done.stdout + done.stderr)

    def writes(self) -> list[str]:
        """Method and path of every request that changed something, since this was asked last."""
        found = [
            f"{each['method']} {each['url'].partition('?')[0]}"
            for each in self.requests()
            if each["method"] not in ("GET", "HEAD") and "/Microsoft.MachineLearningServices/" in each["url"]
        ]
        self.control("DELETE", "requests")
        return found


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoEndpoints]:
    """On the embedded engine: what differs between engines is tested elsewhere."""
    made = TwoEndpoints(tmp_path, "embedded")
    made.start_lab()
    try:
        yield made
    finally:
        made.lab.stop()


def test_a_second_endpoint_comes_and_goes_and_the_first_one_is_left_alone(two: TwoEndpoints) -> None:
    example = two.example()
    first, second = example["batch-scoring:endpoints"]["batch-scoring"], example["batch-scoring:endpoints"]["nightly"]
    places = {key: each for key, each in example.items() if not isinstance(each, dict)}
    alone = {
        **places,
        "batch-scoring:compute": {"name": "cpu", **example["batch-scoring:computes"]["cpu"]},
        **{f"batch-scoring:{name}": each for name, each in first.items()},
    }
    two.write(alone)
    two.succeed("up")
    before = two.outputs()
    two.on_the_model(REGISTER, before["assets"]["digits"]["model"])

    # The second comes, on a cluster of its own: the first is written in another form, and not touched.
    two.writes()
    two.write(example)
    said = two.succeed("up")
    after = two.outputs()
    assert {key: each for key, each in after.items() if key != "endpoints"} == before
    assert after["endpoints"]["batch-scoring"] == before
    assert after["endpoints"]["nightly"]["smoke_job"]["rows"] == ROWS
    name, nightly = before["endpoint_name"], after["endpoints"]["nightly"]["endpoint_name"]
    assert [each for each in two.writes() if "nightly" not in each and "/computes/spare" not in each] == []
    assert re.findall(r"(?m)^endpoint +(\S+)$", said) == [name, nightly]

    listed = two.jobs("list", "--endpoint", "nightly", "--json")
    assert json.loads(listed.said)["endpoint"] == nightly, listed

    # A change of one is a change of nothing else, and nothing else is left to do; so is its end.
    second["deployments"]["digits"]["error_threshold"] = 3
    two.write(example)
    changed = sorted(two.preview())
    assert [each.partition(" ")[0] for each in changed] == ["BatchDeployment", "ScoringJob"]
    assert all(f" {nightly}-" in each for each in changed)
    del example["batch-scoring:endpoints"]["nightly"], example["batch-scoring:computes"]["spare"]
    two.write(example)
    two.succeed("up")
    assert {each.partition(" ")[0] for each in two.writes()} == {"DELETE"}
    left = two.status()
    assert [len(left[kind]) for kind in ("endpoints", "deployments", "computes", "codes", "environments")] == [1] * 5
    assert left["endpoints"] == [before["endpoint_id"]]

    two.on_the_model("c.delete(sys.argv[1], **v, deadline=60)")
    two.succeed("destroy")
    left = two.status()
    blobs, jobs = left.pop("blobs"), left.pop("jobs")
    assert not any(left.values()), left
    assert (blobs["uploads"], blobs["outputs"]) == (0, 0)
    assert len(jobs) == 2, "their records stay, as in Azure"
