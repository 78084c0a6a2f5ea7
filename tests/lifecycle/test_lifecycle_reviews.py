"""`make pr-comment` and `make drift` on a stack in the lab: they tell what is so, and change nothing."""

import subprocess
import sys
from pathlib import Path

from tests.lifecycle.checkout import Checkout, Ran

BY_HAND = """
import sys
from providers.arm import client
arm, id_, version = client("public"), sys.argv[1], "2025-12-01"
found = arm.get(id_, api_version=version)
body = {"location": found["location"], "tags": found["tags"], "properties": {
    "authMode": "AADToken", "description": "changed by hand", "defaults": found["properties"]["defaults"]}}
arm.put(id_, body, api_version=version, deadline=60.0)
"""


def reviewed(checkout: Checkout, *options: str) -> Ran:
    """What `make pr-comment` and `make drift` run."""
    ran = subprocess.run(
        [sys.executable, "-m", "reviews", "lab", *options],
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout + ran.stderr)


def state(checkout: Checkout) -> Path:
    return next((checkout.lab.home / "pulumi" / ".pulumi" / "stacks").rglob("lab.json"))


def test_a_comment_names_the_files_that_differ_and_drift_is_told_and_left_alone(checkout: Checkout) -> None:
    checkout.succeed("up")
    before, status = state(checkout).read_bytes(), checkout.status()

    checkout.edit("examples/digits/code/score.py", "def run(", "# a comment\ndef run(")
    changed = reviewed(checkout)
    checkout.edit("examples/digits/code/score.py", "# a comment\n", "")
    quiet = reviewed(checkout, "--drift")
    checkout.lab.run(
        [sys.executable, "-c", BY_HAND, status["endpoints"][0]], cwd=checkout.folder, check=True, timeout=600
    )
    drifted = reviewed(checkout, "--drift")
    checkout.configure(compute__max_node_count=100)
    refused = reviewed(checkout, "--offline")

    assert changed.code == 0, changed
    assert "### Preview of stack `lab`: 3 to delete, 3 to create, 2 to update" in changed.said
    assert "| ~ changed | `score.py` |" in changed.said
    assert (quiet.code, "### Drift of stack `lab`: none" in quiet.said) == (0, True), quiet
    assert drifted.code == 3, drifted
    assert "`description`: `changed by hand` → `Handwritten digits, scored in batches`" in drifted.said
    assert refused.code == 4, refused
    assert "may grow to 100 nodes, 8 are allowed; set `max_node_count: 8` or less" in refused.said
    assert state(checkout).read_bytes() == before
    assert checkout.status() == status
