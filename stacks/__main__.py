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
from pathlib import Path
from typing import Any

import yaml

from stacks import cut_short, teardown
from stacks.engine import (
    IN_LAB,
    PROJECT,
    ROOT,
    CannotRun,
    Engine,
    as_written,
    choose,
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
    if arguments[:1] == ["check"]:
        return _check_files(arguments[1:])
    if arguments[:1] == ["promote"]:
        return _promote(arguments[1:])
    if arguments[:1] == ["from-az-ml"]:
        from stacks import from_az_ml

        return from_az_ml.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m stacks", description="Run a Pulumi verb on a stack.")
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
        return _prune(engine, stack)
    whole = verb == "destroy" and not any(each.partition("=")[0] in _NOT_ALL for each in options)
    before = read_state(engine, stack) if whole else None
    if before and before.protected:
        raise CannotRun(teardown.about_protection(stack, before.protected))
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        logged = ("--event-log", str(events)) if verb in ("up", "destroy") else ()
        note = cut_short.note_of(stack, cut_short.home(os.environ, ROOT))
        if cut_short.options(verb, note):
            print("the last destroy of this stack did not end well: looking first at what is left", flush=True)
            options += cut_short.options(verb, note)
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
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state.deployment if state else None), encoding="utf-8")
        within = IN_LAB if engine.options else ()
        given = ("--settings", str(engine.settings), "--state", str(file))
        return _run([*within, sys.executable, "-m", "stacks.leftovers", stack, *given, *options], engine)


def _readable(stack: str) -> bool:
    """Whether the stack's file is there, and says something."""
    try:
        as_written(stack_file(stack), "subscription_id")
    except (CannotRun, OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        return False
    return True


def _check_files(arguments: list[str]) -> int:
    from stacks import checking
    from stacks.stack_file import stack_files

    parser = argparse.ArgumentParser(
        prog="python -m stacks check", description="Look for what is wrong in stack files, without asking anybody."
    )
    parser.add_argument("stacks", metavar="STACK", nargs="*", help="by default all")
    stacks: list[str] = parser.parse_args(arguments).stacks
    files = stack_files()
    unknown = [stack for stack in stacks if stack not in files]
    if unknown:
        print(f"error: there is no stack {', '.join(unknown)}; stacks here: {', '.join(files)}", file=sys.stderr)
        return 2
    found = checking.check({stack: path for stack, path in files.items() if not stacks or stack in stacks})
    for stack, failures in found.items():
        for failure in failures:
            print(f"{files[stack].relative_to(ROOT)}: {failure}", file=sys.stderr)
    wrong = sum(map(len, found.values()))
    print(f"{len(found)} stack files, {wrong or 'nothing'} wrong: {', '.join(found)}")
    return 1 if wrong else 0


def _promote(arguments: list[str]) -> int:
    from providers.schema import InvalidSettings
    from stacks import checking, promotion

    parser = argparse.ArgumentParser(
        prog="python -m stacks promote", description="Write what one stack has tested into the file of another one."
    )
    parser.add_argument("source", metavar="FROM", help="the stack whose smoke job has passed")
    parser.add_argument("target", metavar="TO", help="the stack whose file is changed; nothing is deployed")
    parser.add_argument("--endpoint", help="the only one to promote, by its name in the stack files; by default all")
    parser.add_argument("--deployment", help="name of the deployment in TO's file; by default as in FROM's")
    asked = parser.parse_args(arguments)
    try:
        engine = choose(asked.source, os.environ)
        state = _state(engine, asked.source)
        file = stack_file(asked.target)
        placement = checking.settings_of(file).placement(PROJECT, asked.target)
        found = promotion.passed(asked.source, state, asked.endpoint)
        if asked.deployment and len(found) > 1:
            raise promotion.CannotPromote("--deployment is about one endpoint; say which, --endpoint NAME")
        before = after = file.read_text(encoding="utf-8")
        for each in found:
            promotion.refuse_elsewhere(each, placement.workspace_id, asked.target)
            promotion.refuse_what_would_vanish(asked.source, state, each)
            after = promotion.promoted(after, asked.deployment or each.setting, each)
        if after != before:
            file.write_text(after, encoding="utf-8")
    except (CannotRun, promotion.CannotPromote) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    except InvalidSettings as invalid:
        print(f"error: stacks/Pulumi.{asked.target}.yaml has settings that cannot be:\n{invalid}", file=sys.stderr)
        return 2
    for each in found:
        print(f"{each.deployment} of stack {asked.source}, on which job {each.job} has passed:")
        for asset in each.assets:
            print(f"  {asset}")
    name, changed = file.relative_to(ROOT), after != before
    print(
        f"{name} names them now: review, commit, `make up STACK={asked.target}`" if changed else f"{name}: so already"
    )
    return 0


def _prune(engine: Engine, stack: str) -> int:
    """Delete what the stack has kept for others and nobody uses."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        path.write_text(json.dumps(_state(engine, stack)), encoding="utf-8")
        within = IN_LAB if engine.options else ()
        return _run([*within, sys.executable, "-m", "stacks.pruning", stack, str(path)], engine)


def _state(engine: Engine, stack: str) -> dict[str, Any]:
    """A stack's exported state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        if engine.options:
            prepare(engine, stack)
        _done(_run(_command(engine, "export", stack, ["--file", str(path)]), engine), "read")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


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


def _done(code: int, what: str = "changed") -> None:
    if code != 0:
        raise CannotRun(f"the state could not be {what}; the engine's words are above")


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
