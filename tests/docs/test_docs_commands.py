"""A reader types every command of the documentation, from the top of each page down, in a fresh clone with its lab."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page, pages
from tests.lifecycle.checkout import Checkout

FIRST, LAST = "README.md", "docs/tutorial.md"
"""The first deploys, which the other pages presuppose; the last ends with nothing left."""
NOT_HERE = {
    "make test": "this is it",
    "make test-clients": "CI has it as a step of its own",
    "make faults": "minutes; tests/faults runs a part of it",
    "make bench": "minutes; measures, asserts nothing",
    "make check": "CI has it as a step of its own",
    "make clean": "would take away what this test runs on",
    "make lock": "asks the package index for newer versions",
}

OF_ANOTHER_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "ARGS", "STACK", "WORKERS")
"""What the `make` that runs this test hands on; a reader has none of it."""


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Checkout]:
    """What a person has after `git clone` and the first installation."""
    folder = tmp_path / "clone"
    folder.mkdir()
    checkout = Checkout(folder, "embedded")
    for name in ("Makefile", ".gitignore", "requirements", "tests", "docs", "policy", "reviews", "jobs"):
        source, target = ROOT / name, checkout.folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    for command in ("init -q", "add -A", "-c user.name=reader -c user.email=reader@example.org commit -qm clone"):
        subprocess.run(["git", *command.split()], cwd=checkout.folder, check=True)
    try:
        yield checkout
    finally:
        checkout.lab.stop()


def typed(command: str, checkout: Checkout) -> subprocess.CompletedProcess[str]:
    environment = {name: each for name, each in checkout.environment.items() if name not in OF_ANOTHER_MAKE}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=checkout.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )


def in_reading_order() -> list[Page]:
    return sorted(pages(), key=lambda page: (str(page) == LAST, str(page) != FIRST, str(page)))


def test_every_command_of_the_documentation_does_what_it_should(clone: Checkout) -> None:
    wrong = []
    for page in in_reading_order():
        for fails, command in page.steps():
            if any(command == each or command.startswith(f"{each} ") for each in NOT_HERE):
                continue
            done = typed(command, clone)
            if (done.returncode != 0) != fails:
                wrong.append(f"{page}: `{command}` ended with {done.returncode}\n{done.stdout[-3000:]}")

    assert wrong == [], "\n\n".join(wrong)
