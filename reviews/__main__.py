"""`python -m reviews STACK [--output FILE] [options of pulumi preview]`: previews a stack and writes the comment on it.

`--drift` refreshes first (nothing is written, neither to the cloud nor to the state), and anything to do is a failure.
Exit codes: 0; 1 the preview failed; 2 it cannot be; 3 there is drift; 4 a mandatory policy is violated.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stacks.engine import ROOT, CannotRun, Engine, choose

_USAGE = 2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m reviews", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--output", help="file for the comment (default: standard output)")
    parser.add_argument("--drift", action="store_true", help="refresh first; anything to do is a failure")
    parser.add_argument("--offline", action="store_true", help="do not ask storage which files differ")
    parser.add_argument("--policy-pack-config", help="settings of the policies (default: policy/config.json)")
    asked, options = parser.parse_known_args(arguments)
    try:
        engine = choose(asked.stack, os.environ)
    except CannotRun as reason:
        sys.stderr.write(f"error: {reason}\n")
        return _USAGE
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preview.txt"
        ran = _preview(asked.stack, [*(["--refresh"] if asked.drift else []), *options], file)
        given = [
            *("--exit-code", str(ran)),
            *(["--output", asked.output] if asked.output else []),
            *(["--drift"] if asked.drift else []),
            *(["--offline"] if asked.offline or ran != 0 else []),
            *(["--policy-pack-config", asked.policy_pack_config] if asked.policy_pack_config else []),
        ]
        written = subprocess.run(  # noqa: S603  # this Python, this project
            [*_within(engine, ran), sys.executable, "-m", "reviews.writing", asked.stack, str(file), *given],
            cwd=ROOT,
            env=dict(engine.environment),
            check=False,
        )
    return written.returncode


def _preview(stack: str, options: list[str], file: Path) -> int:
    """Run the preview; what it said, errors too, is in `file` then."""
    command = [sys.executable, "-m", "stacks", "preview", stack, "--json", "--show-sames", *options]
    with (
        file.open("w", encoding="utf-8") as out,
        subprocess.Popen(  # noqa: S603  # this Python, this project
            command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        _, complaints = process.communicate()
    sys.stderr.write(complaints)
    if process.returncode != 0:
        with file.open("a", encoding="utf-8") as out:
            out.write(f"\n{complaints}")
    return process.returncode


def _within(engine: Engine, ran: int) -> tuple[str, ...]:
    """What stands before a command that asks storage: of a lab stack the lab's door, open since the preview."""
    lab = bool(engine.options) and ran == 0
    return engine.command[: engine.command.index("--") + 1] if lab else ()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
