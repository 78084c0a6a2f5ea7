"""The whole way of the documentation: a stack is deployed, a folder is scored, watched, shown and fetched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.lifecycle.checkout import Checkout, Ran


def typed(checkout: Checkout, *words: str) -> Ran:
    """Outside the lab, as a person does: `python -m jobs ... --stack lab`."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *words, "--stack", "lab"],
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr)


def test_a_deployed_stack_scores_a_folder(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, "embedded")
    try:
        never = typed(checkout, "list")
        checkout.succeed("up")
        submitted = typed(checkout, "submit", "examples/digits/images", "--watch")
        downloaded = typed(checkout, "download", "--to", "got")
        shown = typed(checkout, "show", "--plot", "classes.png", "--json")
        listed = typed(checkout, "list", "--json")
    finally:
        checkout.lab.stop()

    assert never.code == 3
    assert "run `make up STACK=lab`" in never.said or "cannot be read" in never.said
    assert submitted.code == 0, submitted
    assert "180 files" in submitted.said
    assert "8 of 8 mini-batches, 0 failed" in submitted.said
    assert downloaded.code == 0, downloaded
    assert len((tmp_path / "got" / "predictions.csv").read_text().splitlines()) == 180
    assert json.loads(shown.said)["results"]["rows"] == 180
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(listed.said)["jobs"]) == 2
    assert not list((tmp_path / ".jobs" / "unfinished").glob("[!.]*"))
