"""Write the golden state of a release: `python -m tests.golden.record`, once, when that release is made.

It is named by the version in pyproject.toml; one that is there already is not written over: it is what users have.

It is what `up` of the lab stack leaves in a lab of its own, on the embedded engine, without what is different in each
clone (the salt of its secrets, of which this stack has none). Later releases must go on working with it, see
tests/lifecycle/test_lifecycle_golden_state.py.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from tests.lifecycle.checkout import ROOT, Checkout

FOLDER = Path(__file__).resolve().parent


def record(release: str) -> Path:
    """The file, written; raises AssertionError when the stack does not come up, FileExistsError when it is there."""
    written = FOLDER / f"state-{release}.json"
    if written.exists():
        raise FileExistsError(f"{written} is there: raise the version in pyproject.toml first")
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder), "embedded")
        try:
            checkout.succeed("up")
            exported = Path(folder) / "state.json"
            checkout.succeed("export", "--file", str(exported))
        finally:
            checkout.lab.stop()
        document = json.loads(exported.read_text(encoding="utf-8"))
    document["deployment"].pop("secrets_providers", None)
    written.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return written


def version() -> str:
    """The project's."""
    found = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "pyproject.toml has no version"
    return found[1]


if __name__ == "__main__":
    print(record(*(sys.argv[1:] or [version()])))
