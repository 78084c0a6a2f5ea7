"""A running lab for programs that nobody here wrote, and the summary of what they asked and what was refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.home import home_from
from lab.testing import LabUnderTest, running_lab
from tests.clients.calls import Control, control_of, refusals

Recorded = Callable[[str], AbstractContextManager[list[dict[str, Any]]]]
_SUMMARY = pytest.StashKey[dict[str, tuple[int, Counter[str]]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SUMMARY] = {}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    with running_lab(tmp_path_factory.mktemp("clients") / "lab") as lab:
        yield lab


@pytest.fixture(scope="session")
def control(lab: LabUnderTest) -> Iterator[Control]:
    with control_of(lab) as control:
        # Without Retry-After, as the real service answers, Microsoft's SDK waits 30 s before it asks again.
        control.settings(retry_after=1, request_log=100_000)
        yield control


@pytest.fixture(scope="session")
def recorded(control: Control, pytestconfig: pytest.Config) -> Recorded:
    """`with recorded("curl") as requests:` leaves in `requests` what was asked meanwhile, and a line in the summary."""

    @contextmanager
    def record(client: str) -> Iterator[list[dict[str, Any]]]:
        requests: list[dict[str, Any]] = []
        control.forget_requests()
        try:
            yield requests
        finally:
            requests.extend(each for each in control.requests() if "/_lab/" not in each["url"])
            pytestconfig.stash[_SUMMARY][client] = (len(requests), refusals(requests))

    return record


def client_program(client: str, program: str) -> Path:
    """A program in the virtual environment of a client; skips the test where `make test-clients` has not made it."""
    folder = home_from(os.environ).cache / "clients" / client
    if not (folder / ".installed").is_file():
        pytest.skip(f"{client} is not installed: `make test-clients` makes its virtual environment")
    return folder / "bin" / program


@pytest.fixture(scope="session")
def installed() -> Callable[[str, str], Path]:
    return client_program


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a client. Calls to blob storage end in Azurite and are not among them."""
    summary = config.stash[_SUMMARY]
    if not summary:
        return
    terminalreporter.section("clients in the lab (calls to blob storage not counted)")
    terminalreporter.write_line(f"{'client':<36}{'calls':>8}{'refusals':>10}")
    for client, (calls, refused) in summary.items():
        terminalreporter.write_line(f"{client:<36}{calls:>8}{refused.total():>10}")
        for what, times in sorted(refused.items()):
            terminalreporter.write_line(f"    refused {times} x {what}")
