"""`python -m lab.engine VERB`: the embedded Pulumi engine's command line, in the words of the pulumi CLI."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.engine import state, values
from lab.engine import urn as urns
from lab.engine.backend import check_version
from lab.engine.deployment import Deployment, Found, Outcome, Wish
from lab.engine.display import SECRET_TEXT, Display
from lab.engine.errors import BadUsage, EngineError, Refused
from lab.engine.monitor import Run
from lab.engine.stack import Stack, backend_of, open_settings, open_stack

_TERMINATED = 8
_CHANGES_NOT_EXPECTED = 7
_KINDS = {"up": "update", "preview": "update", "refresh": "refresh", "destroy": "destroy"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.engine", description=__doc__, allow_abbrev=False)
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--stack", "-s", help="the stack's name (default: PULUMI_STACK)")
    common.add_argument("--non-interactive", action="store_true", help="accepted; nothing ever asks")
    common.add_argument("--color", choices=["never", "always", "auto"], default="auto")
    settings = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    settings.add_argument("--config-file", type=Path, help="settings file instead of Pulumi.<stack>.yaml")
    run = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    run.add_argument("--parallel", "-p", type=int, default=4 * (os.cpu_count() or 1), help="operations at once")
    run.add_argument("--diff", action="store_true", help="show properties")
    run.add_argument("--event-log", type=Path, help="write diagnostics there, as the CLI's events")
    run.add_argument("--expect-no-changes", action="store_true")
    run.add_argument("--show-sames", action="store_true")
    run.add_argument("--suppress-outputs", action="store_true")
    run.add_argument("--yes", "-y", action="store_true", help="accepted; nothing ever asks")
    run.add_argument("--skip-preview", "-f", action="store_true", help="accepted; there never is one")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in _KINDS:
        added = verbs.add_parser(verb, parents=[common, settings, run], allow_abbrev=False)
        added.set_defaults(json=False, refresh=False, clear_pending_creates=False)
        if verb == "preview":
            added.add_argument("--json", "-j", action="store_true", help="the CLI's preview digest")
        if verb == "refresh":
            added.add_argument("--clear-pending-creates", action="store_true")
        else:
            added.add_argument("--refresh", "-r", action="store_true", help="refresh first")
    cancel = verbs.add_parser("cancel", parents=[common, settings], allow_abbrev=False)
    cancel.add_argument("--yes", "-y", action="store_true", help="accepted; nothing ever asks")
    stack = verbs.add_parser("stack", allow_abbrev=False).add_subparsers(dest="noun", required=True, metavar="NOUN")
    output = stack.add_parser("output", parents=[common, settings], allow_abbrev=False)
    output.add_argument("name", nargs="?")
    output.add_argument("--json", "-j", action="store_true")
    output.add_argument("--show-secrets", action="store_true")
    export = stack.add_parser("export", parents=[common, settings], allow_abbrev=False)
    export.add_argument("--file", type=Path)
    export.add_argument("--show-secrets", action="store_true")
    stack.add_parser("import", parents=[common, settings], allow_abbrev=False).add_argument("--file", type=Path)
    stack.add_parser("ls", parents=[common], allow_abbrev=False)
    return parser


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.verb == "stack" and options.noun == "ls":
            _, backend = backend_of(Path.cwd(), os.environ)
            sys.stdout.writelines(f"{name}\n" for name in backend.stacks())
            return 0
        return _on_stack(options)
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status


def _on_stack(options: argparse.Namespace) -> int:
    name = options.stack or os.environ.get("PULUMI_STACK")
    if not name:
        raise BadUsage("no stack selected; use --stack NAME or set PULUMI_STACK")
    name = str(name).rpartition("/")[2]
    if options.verb == "cancel":
        _, backend = backend_of(Path.cwd(), os.environ)
        removed = backend.cancel(name)
        sys.stdout.write(f"The currently running update for '{name}' has been canceled! ({removed} lock(s) removed)\n")
        return 0
    if options.verb in _KINDS:
        return _run(options, name)
    settings = open_settings(Path.cwd(), os.environ, name, options.config_file)
    if options.noun == "import":
        with settings.backend.locked(name):
            return _import(open_stack(settings), options)
    stack = open_stack(settings)
    stack.require_state()
    return _output(stack, options) if options.noun == "output" else _export(stack, options)


def _run(options: argparse.Namespace, name: str) -> int:
    if options.parallel < 1:
        raise BadUsage(f"--parallel {options.parallel}: must be at least 1")
    settings = open_settings(Path.cwd(), os.environ, name, options.config_file)
    if options.verb == "preview":
        return _deploy(options, open_stack(settings), preview=True)
    with settings.backend.locked(name):
        stack = open_stack(settings)
        if options.verb != "up":
            stack.require_state()
        elif not stack.exists:
            stack.save(state.deployment([], [], stack.secrets.salt))
        return _deploy(options, stack, preview=False)


def _deploy(options: argparse.Namespace, stack: Stack, *, preview: bool) -> int:
    directory = stack.project.directory
    run = Run(stack.project.name, stack.name, stack.config, preview, min(options.parallel, 256))
    wish = Wish(_KINDS[options.verb], preview, options.refresh, run, directory, stack.project.program)
    pending = [] if options.clear_pending_creates else stack.pending
    display = Display(
        stack.project.name,
        stack.name,
        preview=preview,
        digest=options.json,
        show_sames=options.show_sames,
        show_properties=options.diff,
        color=options.color == "always" or (options.color == "auto" and sys.stdout.isatty()),
    )
    display.header(wish.kind)
    begun = time.monotonic()
    deployment = Deployment(wish, Found(stack.resources, pending, stack.secrets), display, stack.save)
    outcome = _interruptibly(deployment)
    seconds = time.monotonic() - begun
    if options.event_log is not None:
        options.event_log.write_text(display.events(), encoding="utf-8")
    if outcome is None:
        display.log("", "error", "update terminated; what was running is a pending operation in the state", False)
        display.diagnostics()
        return _TERMINATED
    if options.json:
        sys.stdout.write(display.json(stack.config.for_display(), outcome.changes, seconds) + "\n")
    else:
        display.diagnostics()
        if not options.suppress_outputs and wish.kind != "destroy":
            display.outputs(outcome.former_outputs, outcome.outputs)
        display.summary(outcome.changes, seconds)
    if outcome.failed or outcome.cancelled:
        return 1
    if options.expect_no_changes and outcome.changes.keys() - {"same"}:
        sys.stderr.write(f"error: no changes were expected but changes {'were proposed' if preview else 'occurred'}\n")
        return _CHANGES_NOT_EXPECTED
    return 0


def _interruptibly(deployment: Deployment) -> Outcome | None:
    """Run; the first SIGINT or SIGTERM finishes what runs, the second stops now, which gives None."""
    results: list[Outcome | BaseException] = []
    over, stopped = threading.Event(), threading.Event()

    def work() -> None:
        try:
            results.append(deployment.run())
        except BaseException as error:  # noqa: BLE001  (raised again on the main thread)
            results.append(error)
        over.set()

    signals = 0

    def interrupt(_: int, __: Any) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            sys.stderr.write("Interrupted: finishing what is running; interrupt again to stop now.\n")
            deployment.cancel()
        else:
            stopped.set()
            over.set()

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    threading.Thread(target=work, daemon=True).start()
    try:
        over.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if stopped.is_set():
        deployment.terminate()
        return None
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _output(stack: Stack, options: argparse.Namespace) -> int:
    outputs = next((item.outputs for item in stack.resources if item.type == urns.STACK_TYPE and not item.delete), {})
    shown = values.plain(outputs, (lambda value: value) if options.show_secrets else (lambda _: SECRET_TEXT))
    if options.name is not None:
        if options.name not in outputs:
            raise EngineError(f"current stack does not have output property '{options.name}'")
        value = values.plain(outputs[options.name])
        text = json.dumps(value, indent=2) if options.json or not isinstance(value, str) else value
        sys.stdout.write(f"{text}\n")
    elif options.json:
        sys.stdout.write(json.dumps(dict(sorted(shown.items())), indent=2) + "\n")
    else:
        width = max([len("OUTPUT"), *map(len, shown)])
        sys.stdout.write(f"Current stack outputs ({len(shown)}):\n    {'OUTPUT':<{width}}  VALUE\n")
        for key, value in sorted(shown.items()):
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            sys.stdout.write(f"    {key:<{width}}  {text}\n")
    return 0


def _export(stack: Stack, options: argparse.Namespace) -> int:
    seal = None if options.show_secrets else stack.secrets.seal
    records = [state.to_json(item, seal) for item in stack.resources]
    made = state.deployment(records, stack.pending, stack.secrets.salt)
    text = json.dumps({"version": 3, "deployment": made}, indent=4) + "\n"
    if options.file is None:
        sys.stdout.write(text)
    else:
        options.file.write_text(text, encoding="utf-8")
    return 0


def _import(stack: Stack, options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.file is None else options.file.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise BadUsage(f"could not read deployment: {error}") from error
    check_version(content, str(options.file or "standard input"))
    given = content.get("deployment") or {}
    for record in given.get("resources") or []:
        if record["urn"].split("::")[:2] != [f"urn:pulumi:{stack.name}", stack.project.name]:
            raise Refused(f"resource {record['urn']} is not of stack {stack.name} of project {stack.project.name}")
    resources = stack.read(given)
    pending = list(given.get("pending_operations") or [])
    records = [state.to_json(item, stack.secrets.seal) for item in resources]
    stack.save(state.deployment(records, pending, stack.secrets.salt))
    sys.stdout.write("Import complete.\n")
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
