"""The lab, by hand and from the Makefile: `python -m lab start | stop | status | env | run -- COMMAND | logs`.

Exit codes: 0 done, 1 the lab could not, 2 wrong usage, 3 no lab is running, 4 the stack is not the lab's; `run` ends
with its command's own (126 and 127 as a shell's: not executable, not found). What one verb alone needs is imported in
it: `run` stands in front of every command.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which

from lab.environment import inside, lab_variables, removed_variables
from lab.errors import LabError
from lab.home import CHECKOUT, Home, home_from
from lab.running import require_running
from lab.status import read_overview, read_status, status_page


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; returns its exit code. `run` does not return: the command takes this process's place."""
    asked = _parser().parse_args(arguments)
    try:
        home = home_from(environ)
        code: int = _COMMANDS[asked.verb](asked, home, environ)
    except LabError as problem:
        _complain(str(problem))
        return problem.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read us has had enough
        return 0
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        _complain(f"{problem.strerror or problem}{where}; free space or rights there, then try again")
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _start(_: argparse.Namespace, home: Home, environ: Mapping[str, str]) -> int:
    from lab.start import start

    facts, started = start(home, environ, _say)
    what = "ready" if started else "already running"
    look = f", or at {facts.page}" if facts.page_port else ""
    _say(f"{what} in {_shown(home.root)}; look with `python -m lab status`{look}")
    return 0


def _stop(_: argparse.Namespace, home: Home, __: Mapping[str, str]) -> int:
    from lab.stop import stop

    ended = stop(home)
    _say(f"ended {', '.join(ended)}" if ended else f"no lab was running in {_shown(home.root)}")
    return 0


def _status(asked: argparse.Namespace, home: Home, _: Mapping[str, str]) -> int:
    facts = require_running(home)
    status = read_status(facts)
    if asked.json:
        _write(json.dumps(status))
    else:
        from rich.console import Console

        console = Console(highlight=False)
        for part in status_page(facts, _shown(home.root), read_overview(facts), status["blobs"]):
            console.print(part)
    return 0


def _env(asked: argparse.Namespace, home: Home, environ: Mapping[str, str]) -> int:
    variables = lab_variables(home, require_running(home), environ)
    if asked.json:
        _write(json.dumps(variables))
        return 0
    for name in removed_variables(environ):
        _write(f"unset {name}")
    for name, value in variables.items():
        _write(f"export {name}={_quoted(value)}")
    return 0


def _run(asked: argparse.Namespace, home: Home, environ: Mapping[str, str]) -> int:
    command: list[str] = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        raise LabError("run what? `python -m lab run -- COMMAND`", exit_code=2)
    from lab.stack import refuse_other_stack

    refuse_other_stack(command, environ, Path.cwd())
    variables = inside(home, require_running(home), environ)
    program = which(command[0], path=variables["PATH"])
    if program is None:
        raise LabError(f"{command[0]}: no such command", exit_code=127)
    sys.stdout.flush()
    try:
        os.execve(program, command, variables)  # noqa: S606 - running a command is what was asked
    except OSError as problem:
        raise LabError(f"{command[0]}: {problem.strerror}", exit_code=126) from problem


def _logs(asked: argparse.Namespace, home: Home, _: Mapping[str, str]) -> int:
    if not home.log.is_file():
        raise LabError(f"there is no log yet in {home.logs}; start a lab with `python -m lab start`")
    with home.log.open("rb") as log:
        lines = log.read().splitlines()[-asked.lines :] if asked.lines else []
        for line in lines:
            _write(line.decode("utf-8", "replace"))
        while asked.follow:
            sys.stdout.flush()
            sys.stdout.write(log.read().decode("utf-8", "replace"))
            time.sleep(0.3)
    return 0


def _check_stack(asked: argparse.Namespace, _: Home, __: Mapping[str, str]) -> int:
    from lab.stack import check_stack

    _say(check_stack(asked.file))
    return 0


_COMMANDS = {
    "start": _start,
    "stop": _stop,
    "status": _status,
    "env": _env,
    "run": _run,
    "logs": _logs,
    "check-stack": _check_stack,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="An Azure Machine Learning on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("start", help="start the lab, or find it running; returns when it is ready")
    verbs.add_parser(
        "stop", help="end the lab; what it keeps on disk stays, and unfinished jobs begin anew with the next start"
    )
    status = verbs.add_parser("status", help="what is in the lab")
    status.add_argument("--json", action="store_true", help="as JSON")
    env = verbs.add_parser("env", help='the variables that lead a shell into the lab: eval "$(python -m lab env)"')
    env.add_argument("--json", action="store_true", help="as JSON")
    run = verbs.add_parser("run", help="run a command inside the lab: run -- COMMAND")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    logs = verbs.add_parser("logs", help="the end of the lab's log")
    logs.add_argument("-f", "--follow", action="store_true", help="and what is added to it, until Ctrl-C")
    logs.add_argument("-n", "--lines", type=_number, default=40, help="how many lines (default %(default)s)")
    check = verbs.add_parser("check-stack", help="exit 0 when a Pulumi.STACK.yaml is the lab's, 4 when it is not")
    check.add_argument("file", type=Path)
    return parser


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {number}")
    return number


def _shown(root: Path) -> str:
    return root.name if root.parent == CHECKOUT == Path.cwd() else str(root)


def _quoted(value: str) -> str:
    return shlex.quote(value) if value.startswith("'") or "'" in value else f"'{value}'"


def _say(text: str) -> None:
    _write(f"lab: {text}")
    sys.stdout.flush()


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"lab: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
