"""Whether a lab runs in a home, known from its lock, its facts and its own answer."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from typing import NamedTuple

from lab.errors import LabError, NotRunning
from lab.home import Facts, Home, read_facts
from lab.lock import holder

_PROBE_SECONDS = 10.0


class Answer(NamedTuple):
    """What the control API said."""

    status: int
    body: bytes


def find_running(home: Home) -> Facts | None:
    """Facts of the lab that runs in this home, None when none does; a `lab.json` left by a killed one is no lab.

    Raises LabError: its process lives but does not answer to the lab's control token.
    """
    pid, facts = holder(home.daemon_lock), read_facts(home)
    if pid is None or facts is None or facts.pid != pid:
        return None
    problem = _does_not_answer(facts)
    if problem is not None:
        raise LabError(
            f"the lab in {home.root} (pid {pid}) lives but does not answer ({problem}); end it with "
            "`python -m lab stop`, its log is " + str(home.log)
        )
    return facts


def require_running(home: Home) -> Facts:
    """Facts of the running lab.

    Raises NotRunning: there is none.
    """
    facts = find_running(home)
    if facts is None:
        raise NotRunning(home.root)
    return facts


def control_get(facts: Facts, path: str, *, token: str | None = None, seconds: float = _PROBE_SECONDS) -> Answer:
    """GET from the emulator's control API (`/_lab/...`), straight and with its bearer (or another `token`).

    Raises OSError or http.client.HTTPException: no answer came.
    """
    # The standard library's client: `lab run` is in front of every command, and the others take 0.3 s to import.
    context = ssl.create_default_context(cafile=facts.ca_file)
    connection = http.client.HTTPSConnection("127.0.0.1", facts.emulator_port, timeout=seconds, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token or facts.control_token}"})
        reply = connection.getresponse()
        return Answer(reply.status, reply.read())


def _does_not_answer(facts: Facts) -> str | None:
    """Why the lab is not well, None when it is."""
    try:
        status = control_get(facts, "/_lab/health").status
    except (OSError, http.client.HTTPException) as problem:
        return str(problem) or type(problem).__name__
    return None if status == 200 else f"status {status}"
