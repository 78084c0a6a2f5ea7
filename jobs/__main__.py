"""`python -m jobs VERB`: what is asked for, which endpoint it is about, and how it ended."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from jobs import INTERRUPTED, REFUSED, seen
from jobs.cancelling import cancel
from jobs.clock import Clock
from jobs.command import parse
from jobs.downloading import fetch
from jobs.listing import list_jobs
from jobs.logs import logs
from jobs.records import arm_job
from jobs.submitting import submit
from jobs.summary import show
from jobs.target import Target, named, of_stack
from jobs.unfinished import Unfinished
from jobs.voice import Voice
from jobs.watching import watch
from providers import explanations
from providers.aml.refusal import Refusal
from stacks.engine import CannotRun
from stacks.outputs import deployed


def nothing() -> None:
    """NO-OP: what most verbs do last."""


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    clock: Clock = Clock(),  # noqa: B008  # it has no state
    unfinished: Unfinished = Unfinished(),  # noqa: B008  # nor has this
) -> tuple[int, Callable[[], None]]:
    """Run one verb. The exit code, and what is to be done as the very last thing before the process ends with it."""
    asked = parse(arguments)
    # What azure-identity would log of a failed sign-in is in the error that is told.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    voice = Voice(as_json=asked.json)
    try:
        if asked.stack:
            _in_its_cloud(asked, arguments, environ)
        return _run(asked, _target(asked), voice, clock, unfinished)
    except KeyboardInterrupt:
        if asked.verb == "submit":
            voice.note(
                "interrupted; the same command typed again goes on from here, and finds the job if one was started"
            )
        return INTERRUPTED, nothing
    except CannotRun as reason:
        voice.error(str(reason), name="stack", code=REFUSED)
    except Exception as error:  # a person reads it: told in two lines, the traceback on demand
        if environ.get("AML_BATCH_DEBUG", "") not in ("", "0"):
            raise
        voice.error(explanations.told(error), name=explanations.explain(error).name, code=REFUSED)
    return REFUSED, nothing


def _run(
    asked: argparse.Namespace, target: Target, voice: Voice, clock: Clock, unfinished: Unfinished
) -> tuple[int, Callable[[], None]]:
    if asked.verb == "submit":
        return submit(asked, target, voice, unfinished, clock)
    if asked.verb == "watch":
        name = str(arm_job(target, asked.job)["name"])
        code = watch(name, target, voice, clock)
        seen.mark(name, target, voice, unfinished)
        return code, nothing
    verbs = {"list": list_jobs, "show": show, "logs": logs, "cancel": cancel, "download": fetch}
    code = verbs[asked.verb](asked, target, voice, clock)
    if asked.verb in ("cancel", "download"):
        seen.mark(asked.job, target, voice, unfinished)
    return code, nothing


def _target(asked: argparse.Namespace) -> Target:
    if not asked.endpoint:
        raise Refusal(
            "say which endpoint: --stack NAME, or --endpoint NAME with its workspace", name="endpoint-unnamed"
        )
    group = {name: getattr(asked, name) for name in ("subscription", "resource_group", "workspace")}
    return named(
        asked.endpoint,
        group,
        asked.cloud,
        words=asked.named or "",
        datastore=asked.datastore,
        shared_key=asked.shared_key,
    )


def _in_its_cloud(asked: argparse.Namespace, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Give `asked` the stack's endpoint. A stack whose cloud is reached by a command of its own is asked there: this
    process then becomes that command.
    """
    found = deployed(asked.stack, environ)
    name, asked.endpoint = of_stack(asked.stack, found.endpoints, asked.endpoint)
    asked.cloud = found.cloud
    asked.datastore = asked.datastore or found.datastore
    asked.named = f"--stack {asked.stack}" + (f" --endpoint {name}" if len(found.endpoints) > 1 else "")
    if not found.within:
        return
    rest = _without_stack(arguments)
    command = [
        *found.within,
        *(sys.executable, "-m", "jobs", *rest, "--endpoint", asked.endpoint, "--cloud", asked.cloud),
        *("--named", asked.named),
        *(("--datastore", asked.datastore) if asked.datastore else ()),
    ]
    sys.stdout.flush()
    os.execve(command[0], command, dict(environ))  # noqa: S606  # this Python, this project


_OF_A_STACK = ("--stack", "--endpoint", "--datastore")
"""Options that are others inside the stack's cloud."""


def _without_stack(arguments: Sequence[str]) -> list[str]:
    rest: list[str] = []
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in _OF_A_STACK:
            skip = True
        elif not word.startswith(tuple(f"{option}=" for option in _OF_A_STACK)):
            rest.append(word)
    return rest


if __name__ == "__main__":
    code, last = main(sys.argv[1:], os.environ)
    sys.stdout.flush()
    # At once: nothing may come between the note that a submission is finished, and the end that the caller sees.
    last()
    os._exit(code)
