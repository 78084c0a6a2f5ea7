"""Write the golden state of a release: `python -m tests.golden.record 0.1`, once, when that release is made.

It is what `up` of the lab stack leaves in a lab of its own, on the embedded engine, without what is different in each
clone (the salt of its secrets, of which this stack has none). Later releases must go on working with it, see
tests/lifecycle/test_lifecycle_golden_state.py.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.lifecycle.checkout import Checkout

FOLDER = Path(__file__).resolve().parent


def record(release: str) -> Path:
    """The file, written; raises AssertionError when the stack does not come up."""
    written = FOLDER / f"state-{release}.json"
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


if __name__ == "__main__":
    print(record(sys.argv[1]))
