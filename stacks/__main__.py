"""`python -m stacks VERB STACK [options of pulumi]`: what the Makefile calls.

VERB is up, preview, refresh, destroy or cancel; output, export or import (of the state: `--file <absolute path>`);
prune (delete assets that were kept for other stacks and that nobody uses any more);
leftovers (what the stack left behind that its state does not know: `--json`, `--delete`; docs/teardown.md);
take (`<urn> <id>`: put a resource that exists into the state, where azure-native refuses to create it).

`python -m stacks check [STACK ...]` checks stack files, by default all, on this machine alone: no engine, no lab,
no cloud. It says everything that is wrong in all of them at once; exit code 1 where something is.

`python -m stacks from-az-ml STACK FILE...` writes a stack file from the YAML files of `az ml`.

`python -m stacks promote FROM TO` writes the ids of what FROM's smoke jobs have passed on into TO's stack file.

Chooses the engine, starts the lab for a lab stack, and says at the end what there is now. Exit codes are the engine's.

What one verb alone needs is imported there: all the others would wait for it, half a second each time.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from stacks import cut_short, teardown
from stacks.engine import (
    IN_LAB,
    ROOT,
    CannotRun,
    Engine,
    as_written,
    choose,
    home_of,
    locked_by,
    prepare,
    refuse_local_state,
    release_dead_locks,
    settings_file,
    stack_file,
    why_not_lab,
)
from stacks.existing import Existing, advice, diagnostics, import_options, refused, with_it
from stacks.outputs import outputs, start_lab
from stacks.state import State, read_state
from stacks.summary import summary

VERBS = {
    "up": ("up",),
    "preview": ("preview",),
    "refresh": ("refresh",),
    "destroy": ("destroy",),
    "cancel": ("cancel",),
    "output": ("stack", "output"),
    "export": ("stack", "export"),
    "import": ("stack", "import"),
    "take": ("import",),
    "prune": (),
    "leftovers": (),
}
_UNASKED = {
    "up": ("--yes", "--skip-preview"),
    "refresh": ("--yes",),
    "destroy": ("--yes",),
    "cancel": ("--yes",),
}
"""A lab stack is changed without a question: nothing in it costs anything."""
_QUIET = {"up": ("--suppress-outputs",), "refresh": ("--suppress-outputs",), "destroy": ("--suppress-outputs",)}
"""The summary says what `up` made, and an error is not to be scrolled away by pages of outputs."""
_PRUNE = ".venv/bin/python -m stacks prune"
_READS_CONFIGURATION = ("up", "preview", "refresh", "destroy")
_LOCKS = ("up", "refresh", "destroy")
_ENDS = ("destroy", "leftovers")
"""Verbs that the state suffices for, where the stack file is gone or is no YAML."""
_NOT_ALL = ("--preview-only", "--target", "-t", "--exclude", "--exclude-protected", "--help", "-h")
"""Options with which a destroy is not the end of the stack."""


def main(arguments: list[str]) -> int:
    if arguments and (about_files := _about_files(arguments[0])):
        return about_files(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m stacks",
        description="Run a Pulumi verb on a stack.",
        epilog="About stack files: check, promote, from-az-ml; each has a --help of its own.",
    )
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("stack")
    if arguments[:1] == ["leftovers"] and set(arguments) & {"-h", "--help"}:
        return subprocess.call([sys.executable, "-m", "stacks.leftovers", "--help"], cwd=ROOT)
    asked, options = parser.parse_known_args(arguments)
    try:
        if asked.verb == "leftovers" and "--no-state" in options and not _in_lab(asked.stack):
            # No engine is needed where no state is read.
            return _look_for_leftovers(_nobody(asked.stack), asked.stack, None, options)
        engine = choose(asked.stack, os.environ, ending=asked.verb in _ENDS)
        return (
            _leftovers(engine, asked.stack, options) if asked.verb == "leftovers" else _run_verb(engine, asked, options)
        )
    except CannotRun as reason:
        print(f"error: {reason}", file=sys.stderr)
        if asked.verb == "destroy" and not _readable(asked.stack):
            print(f"-> {teardown.about_file(asked.stack)}", file=sys.stderr)
        if asked.verb == "leftovers":
            print("-> where it is the state that cannot be read, --no-state looks without it", file=sys.stderr)
        return 2
    except (ImportError, SyntaxError) as error:
        print(f"error: {teardown.about_code(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return 2


def _about_files(verb: str) -> Callable[[list[str]], int] | None:
    """What does a verb about stack files; None for any other."""
    if verb == "check":
        from stacks import check

        return check.main
    if verb == "promote":
        from stacks import promote

        return lambda arguments: promote.main(arguments, os.environ)
    if verb == "from-az-ml":
        from stacks import from_az_ml

        return from_az_ml.main
    return None


def _run_verb(engine: Engine, asked: argparse.Namespace, options: list[str]) -> int:
    verb, stack = asked.verb, asked.stack
    if verb not in ("output", "export"):
        print(engine.line, flush=True)
    if verb in _ENDS and engine.settings != ROOT / "stacks" / f"Pulumi.{stack}.yaml":
        print(f"stacks/Pulumi.{stack}.yaml is gone or no YAML: going on with what the last run kept of it", flush=True)
    if engine.options:
        _check(_run([sys.executable, "-m", "lab", "start"], engine))
        prepare(engine, stack)
        for holder in release_dead_locks(engine, stack):
            print(f"the stack was locked by {holder}, which is no more: going on", flush=True)
    else:
        refuse_local_state(engine, stack)
    if verb == "take":
        return _take(engine, stack, options)
    if verb == "prune":
        return _beside_the_cloud("stacks.pruning", engine, stack, read_state(engine, stack), options)
    whole = verb == "destroy" and not any(each.partition("=")[0] in _NOT_ALL for each in options)
    before = read_state(engine, stack) if whole else None
    if before and before.protected:
        raise CannotRun(teardown.about_protection(stack, before.protected))
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        logged = ("--event-log", str(events)) if verb in ("up", "destroy") else ()
        note = cut_short.note_of(stack, home_of(os.environ))
        if first := cut_short.options(verb, note):
            print("the last destroy of this stack did not end well: looking first at what is left", flush=True)
            options += first
        if why := cut_short.begin(verb, note):
            print(why, file=sys.stderr)
        code = _run([*_command(engine, verb, stack, options), *logged], engine)
        cut_short.end(verb, note, code)
        for each in refused(events):
            print(advice(stack, each), file=sys.stderr)
        if code != 0:
            _explain(events)
            failed = [str(event.get("urn")) for event in diagnostics(events) if event.get("severity") == "error"]
    if code != 0 and verb in _LOCKS and (holders := locked_by(engine, stack)):
        print(f"-> {teardown.about_locks(stack, holders)}", file=sys.stderr)
    elif whole:
        after = read_state(engine, stack)
        if code != 0:
            for line in teardown.still_there(stack, after or State({}), failed):
                print(line, file=sys.stderr)
        elif before and not (after and after.resources):
            code = _destroyed(engine, stack, before)
    if code == 0 and verb == "up":
        _show(engine, stack)
    return code


def _explain(events: Path) -> None:
    if why := teardown.unloadable(str(event.get("message")) for event in diagnostics(events)):
        print(f"-> {teardown.about_code(why)}", file=sys.stderr)
        return
    from stacks.native_errors import explained

    for line in explained(events):
        print(f"-> {line}", file=sys.stderr)


def _destroyed(engine: Engine, stack: str, before: State) -> int:
    """After a destroy that ended well: whether something with the stack's marker is there that no state knew."""
    if as_written(engine.settings, "keep_assets") is True:
        print(f"assets are kept (`keep_assets`); to delete those that nobody uses: {_PRUNE} {stack}", flush=True)
    if not before.markers:
        return 0
    found = _look_for_leftovers(engine, stack, before, ["--after-destroy"])
    return 1 if found == 1 else 0  # what cannot be looked at is told, and the destroy itself has ended well


def _leftovers(engine: Engine, stack: str, options: list[str]) -> int:
    """What the stack left behind; on standard output nothing but that."""
    if engine.options:
        start_lab(engine)
        release_dead_locks(engine, stack)
        if "--delete" in options and (holders := locked_by(engine, stack)):
            raise CannotRun(teardown.about_locks(stack, holders))
        options = [*options, "--yes"]  # as every verb of a lab stack
    state = None if "--no-state" in options else read_state(engine, stack)
    return _look_for_leftovers(engine, stack, state, options)


def _in_lab(stack: str) -> bool:
    return not why_not_lab(settings_file(stack, os.environ, ending=True))


def _nobody(stack: str) -> Engine:
    """For what needs a stack's settings and no engine."""
    return Engine("", (), False, os.environ, settings_file(stack, os.environ, ending=True))


def _look_for_leftovers(engine: Engine, stack: str, state: State | None, options: list[str]) -> int:
    return _beside_the_cloud("stacks.leftovers", engine, stack, state, options)


def _beside_the_cloud(module: str, engine: Engine, stack: str, state: State | None, options: list[str]) -> int:
    """Run what looks at the cloud beside the state, where the stack's cloud is."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state.deployment if state else None), encoding="utf-8")
        within = IN_LAB if engine.options else ()
        given = ("--settings", str(engine.settings), "--state", str(file))
        return _run([*within, sys.executable, "-m", module, stack, *given, *options], engine)


def _readable(stack: str) -> bool:
    """Whether the stack's file is there, and says something."""
    try:
        as_written(stack_file(stack), "subscription_id")
    except (CannotRun, OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        return False
    return True


def _command(engine: Engine, verb: str, stack: str, options: list[str]) -> list[str]:
    lab = bool(engine.options)
    return [
        *engine.command,
        *VERBS[verb],
        "--stack",
        stack,
        *(_UNASKED.get(verb, ()) if lab else ()),
        *_QUIET.get(verb, ()),
        *(engine.options if verb in _READS_CONFIGURATION else ()),
        *(_beside_state(engine) if lab and verb in ("export", "import") else ()),
        *options,
    ]


def _take(engine: Engine, stack: str, options: list[str]) -> int:
    """Put an existing resource of azure-native into the state: by the CLI's `import`, or as a refreshed bare entry."""
    if len(options) < 2:
        raise CannotRun("take wants the URN and the ARM id that a failed `up` named")
    each = Existing(*options[:2])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        _done(_run([*_command(engine, "export", stack, ["--file", str(file)])], engine))
        document = json.loads(file.read_text(encoding="utf-8"))
        if not engine.embedded:
            given = import_options(each, document["deployment"])
            unasked = ("--yes",) if engine.options else ()
            return _run([*engine.command, "import", *given, "--stack", stack, *unasked, *engine.options], engine)
        document["deployment"] = with_it(each, document["deployment"])
        file.write_text(json.dumps(document), encoding="utf-8")
        _done(_run(_command(engine, "import", stack, ["--file", str(file)]), engine))
    return _run(_command(engine, "refresh", stack, []), engine)


def _done(code: int) -> None:
    if code != 0:
        raise CannotRun("the state could not be changed; the engine's words are above")


def _beside_state(engine: Engine) -> tuple[str, ...]:
    """Where the salt of a lab stack is: state is read and written under it, too. The CLI has no option for the file."""
    return engine.options if engine.embedded else ("--cwd", str(Path(engine.options[1]).parent))


def _run(command: list[str], engine: Engine) -> int:
    """Run in the foreground. Ctrl-C goes to the engine, which knows how to stop; here it is waited out.

    A terminal sends Ctrl-C to the engine, too. What asks this process alone to end (SIGTERM, of a CI that runs out of
    time) is handed on: an engine without anybody above it would go on.
    """
    process = subprocess.Popen(command, cwd=ROOT, env=dict(engine.environment))  # noqa: S603  # chosen above
    earlier = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
    }
    try:
        return process.wait()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _check(code: int) -> None:
    if code != 0:
        raise CannotRun("the lab did not start; its last words are above")


def _show(engine: Engine, stack: str) -> None:
    print(f"\n{summary(outputs(engine, stack))}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
