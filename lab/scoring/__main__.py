"""`python -m lab.scoring SPEC.json`: runs one scoring job as a detached process and writes its status beside it.

Exit codes: 0 completed, 1 failed, 2 cancelled, 3 the spec cannot be read. SIGTERM and SIGINT cancel.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

from lab.scoring.blobs import AzureBlobStore, Cancellation
from lab.scoring.driver import run_job
from lab.scoring.environment import CachedEnvironments
from lab.scoring.spec import SpecError, read_spec

_EXIT_CODES = {"Completed": 0, "Failed": 1, "Canceled": 2}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m lab.scoring SPEC.json", file=sys.stderr)
        return 3
    try:
        spec = read_spec(Path(arguments[0]))
    except SpecError as error:
        for failure in error.failures:
            print(f"{arguments[0]}: {failure}", file=sys.stderr)
        return 3
    # It holds the storage key, and the user's script runs as the same user, with this folder as its home.
    Path(arguments[0]).unlink()
    cancellation = Cancellation()

    def cancel(_signal: int, _frame: object) -> None:
        cancellation.requested = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, cancel)
    _adopt_orphans()
    environments = CachedEnvironments(spec.cache, os.environ)
    status = run_job(spec, AzureBlobStore(spec.storage), environments, cancellation, end_orphans=_end_children)
    return _EXIT_CODES[status.status]


def _adopt_orphans() -> None:
    """Linux: processes that a script detaches become children of this one, so that they can be ended with the job."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _end_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a cancelled job does not wait for threads in the middle of a transfer
