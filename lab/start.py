"""Starting a lab: what must be there is made, then the daemon is started and waited for."""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from lab.authority import certificates_in, ensure_certificates, expires
from lab.azurite import end_orphan
from lab.azurite_package import ensure_azurite
from lab.environment import without_lab
from lab.errors import LabError
from lab.home import CHECKOUT, Facts, Home, write_private
from lab.lock import locked
from lab.nodejs import ensure_node
from lab.running import find_running

Say = Callable[[str], None]

_OTHER_START_SECONDS = 1500.0
_READY_SECONDS = 120.0
_SAID_AFTER_SECONDS = 1.0
_LOG_BYTES = 8 * 1024 * 1024
_EXPIRY_WARNING = timedelta(days=3)
STAND_IN = "pulumi-resource-azure-native"


def start(home: Home, environ: Mapping[str, str], say: Say) -> tuple[Facts, bool]:
    """Make sure that a lab runs in `home`; returns its facts, and whether this call started it.

    `say` is given one line per phase that takes longer than a second. `environ` is what the daemon and the
    installations get; a lab's own variables are taken out of it first.
    Raises LabError: something is missing and cannot be had; what was done stays done.
    """
    home.prepare()
    with locked(
        home.start_lock,
        wait_seconds=_OTHER_START_SECONDS,
        what="another start",
        waiting=lambda: say("waiting for another start of this lab"),
    ):
        write_stand_in(home)
        facts = find_running(home)
        if facts is not None:
            _warn_of_expiry(home, say)
            return facts, False
        orphan = end_orphan(home)
        if orphan is not None:
            say(f"ended the Azurite (pid {orphan}) of a lab that was killed")
        home.facts_file.unlink(missing_ok=True)
        _rotate(home.log)
        home.log.touch(mode=0o600)
        outside = without_lab(environ)
        # Both are asked again by the daemon, which then finds them; here their progress is seen.
        node = ensure_node(home.cache, outside, home.log, say)
        ensure_azurite(home.cache, node, outside, home.log, say)
        ensure_certificates(home.certificates)
        _launch(home, outside, say)
        facts = find_running(home)
    if facts is None:
        raise LabError(f"the lab was ready and ended at once; its log is {home.log}")
    return facts, True


def write_stand_in(home: Home) -> Path:
    """The executable that Pulumi finds on PATH as azure-native's plugin, written anew when it would differ."""
    file = home.bin / STAND_IN
    text = (
        "#!/bin/sh\n"
        "# The lab's stand-in for the azure-native plugin, written by `python -m lab start`.\n"
        f'cd {shlex.quote(str(CHECKOUT))} && exec {shlex.quote(sys.executable)} -m lab.azure_native "$@"\n'
    )
    if not (file.is_file() and file.read_text(encoding="utf-8") == text and os.access(file, os.X_OK)):
        write_private(file, text, mode=0o700)
    return file


def _launch(home: Home, environ: Mapping[str, str], say: Say) -> None:
    """Start the daemon, and return when it is ready.

    Raises LabError: it ended before that, with its own words, or it took too long and was ended.
    """
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "lab.daemon", str(home.root), str(home.cache), str(writer)]
    with home.log.open("ab") as log, os.fdopen(reader, "rb", buffering=0) as told:
        try:
            process = subprocess.Popen(  # noqa: S603 - this Python, a module of ours
                command,
                cwd=CHECKOUT,
                env={**environ, "LAB_HOME": str(home.root), "LAB_CACHE": str(home.cache)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[writer],
            )
        finally:
            os.close(writer)
        try:
            _await_ready(process, told.fileno(), home, say)
        except BaseException:
            _end(process)
            raise
    # The daemon goes on by itself; nothing here waits for it.
    process.returncode = 0


def _await_ready(process: subprocess.Popen[bytes], told: int, home: Home, say: Say) -> None:
    phase, since, said, pending = "starting the lab", time.monotonic(), False, b""
    deadline = since + _READY_SECONDS
    while True:
        now = time.monotonic()
        if not said and now - since > _SAID_AFTER_SECONDS:
            say(phase)
            said = True
        if now > deadline:
            raise LabError(f"the lab was not ready after {_READY_SECONDS:.0f} s (while {phase}); its log is {home.log}")
        if not select.select([told], [], [], 0.2)[0]:
            continue
        chunk = os.read(told, 4096)
        if not chunk:
            raise LabError(f"the lab ended while {phase} (exit {process.wait(10)}); its log is {home.log}")
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            news = json.loads(line)
            if news.get("ready"):
                return
            if "error" in news:
                raise LabError(f"{news['error']} (log: {home.log})")
            if "note" in news:
                say(news["note"])
            elif news["phase"] != phase:
                phase, since, said = news["phase"], time.monotonic(), False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _rotate(log: Path) -> None:
    """Keep one older log beside the current one, so that a lab of months does not fill the disk."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _warn_of_expiry(home: Home, say: Say) -> None:
    ends = expires(certificates_in(home.certificates))
    if ends - datetime.now(timezone.utc) < _EXPIRY_WARNING:
        say(f"the lab's certificates end on {ends:%Y-%m-%d}: `python -m lab stop`, then start, renews them")
