"""docs/images/jobs-watch.svg: the live view of a real job of the lab, drawn when about half of it is done.

python -m lab run -- python -m tests.jobs.picture ENDPOINT_ID INPUT docs/images/jobs-watch.svg
"""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

from rich.console import Console

from jobs import view
from jobs.__main__ import main as jobs
from jobs.records import arm_job
from jobs.target import named
from jobs.watching import Watcher
from providers.aml.job import ENDED


def main(endpoint: str, given: str, file: str) -> None:
    code, last = jobs(["submit", given, "--mini-batch-size", "1", "--endpoint", endpoint], {})
    last()
    if code != 0:
        raise SystemExit(code)
    target = named(endpoint, {}, "public")
    watcher = Watcher(str(arm_job(target, None)["name"]), target, "", time.time)
    chosen = look = watcher.look()
    while look.status not in ENDED:
        if look.progress and look.progress.processed and chosen.progress is None:
            chosen = look
        if look.progress and look.progress.processed * 2 <= look.progress.total:
            chosen = look
        time.sleep(0.2)
        look = watcher.look()
    console = Console(record=True, width=112, file=io.StringIO(), force_terminal=True)
    console.print(view.render(chosen))
    drawn = console.export_svg(title="python -m jobs watch")
    # rich would have every reader fetch a font from elsewhere.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    Path(file).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
