"""The rules of docs/architecture.md that a reader should be able to rely on, held by the code itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("components", "jobs", "lab", "policy", "providers", "reviews", "stacks")
# Room -> rooms of ours that it may import; what is longer wins.
ALLOWED = {
    "__main__": {"components", "providers", "stacks"},
    "stacks": {"components", "providers"},
    "components": {"providers"},
    "jobs": {"providers", "stacks"},
    "providers": set(),
    "lab": set(),
    "policy": set(),
    "reviews": {"policy", "providers", "stacks"},
}


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def product() -> list[Path]:
    return [path for path in sources() if path.parts[0] in (*ROOMS, "__main__.py")]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of every module that a file imports, relative ones made absolute."""
    package = list(path.parent.parts)
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def names(path: Path) -> Iterator[str]:
    """As `imports`, with `from package import name` as `package.name`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_arrow_points_back() -> None:
    wrong = [
        f"{path} imports {name}"
        for path in product()
        for name in imports(path)
        if (room := name.split(".")[0]) in ROOMS
        and room != path.parts[0]
        and room not in ALLOWED[path.parts[0].removesuffix(".py")]
    ]

    assert wrong == []


@pytest.mark.parametrize("room", ["arm", "blob", "aml"])
def test_inner_rooms_of_providers_know_no_kind(room: str) -> None:
    allowed = {
        "arm": ("providers.arm",),
        "blob": ("providers.arm", "providers.blob"),
        "aml": ("providers.arm", "providers.blob", "providers.aml"),
    }[room]

    wrong = [
        f"{path} imports {name}"
        for path in product()
        if path.parts[:2] == ("providers", room)
        for name in imports(path)
        if name.startswith("providers") and not name.startswith(allowed)
    ]

    assert wrong == []


def test_jobs_use_what_knows_no_pulumi() -> None:
    """Rooms of providers, and of stacks what reads a deployed stack's outputs."""
    allowed = (
        *("providers.arm", "providers.blob", "providers.aml", "providers.checks", "providers.explanations"),
        *("stacks.outputs", "stacks.engine"),
    )

    wrong = [
        f"{path} imports {name}"
        for path in product()
        if path.parts[0] == "jobs"
        for name in names(path)
        if name.startswith(("providers", "stacks")) and not name.startswith(allowed)
    ]
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, jobs.__main__; print('pulumi' in sys.modules, 'matplotlib' in sys.modules)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert wrong == []
    assert loaded.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("room", ["arm", "blob", "aml"])
def test_inner_rooms_of_providers_know_no_pulumi(room: str) -> None:
    wrong = [str(p) for p in product() if p.parts[:2] == ("providers", room) for n in imports(p) if "pulumi" in n]

    assert wrong == []


def test_components_do_no_io() -> None:
    forbidden = {"os", "pathlib", "socket", "subprocess", "time", "datetime", "httpx", "random", "secrets", "tempfile"}

    wrong = [
        f"{path} imports {name}"
        for path in product()
        if path.parts[0] == "components"
        for name in imports(path)
        if name.split(".")[0] in forbidden
    ]

    assert wrong == []


def test_the_environment_is_read_in_named_places_alone() -> None:
    """In the product: sign-in, the debug switch, the front of the engines, a check script's scrubbed environment."""
    allowed = {
        "providers/arm/credentials.py",
        "jobs/__main__.py",
        "providers/dynamic_host.py",
        "providers/aml/predictions.py",
        "reviews/__main__.py",
        "stacks/__main__.py",
        "stacks/settings.py",
    }

    readers = {
        path.as_posix()
        for path in product()
        if path.parts[0] != "lab"
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }

    assert readers <= allowed


def test_nothing_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "common", "helpers", "helper", "core", "manager", "base", "misc"}

    assert [str(path) for path in sources() if {part.removesuffix(".py") for part in path.parts} & empty] == []


def test_only_the_lab_knows_its_own_subscription() -> None:
    """The product has no emulator switch: it may not know what a lab is."""
    wrong = [
        str(path)
        for path in product()
        if path.parts[0] in ("providers", "components") and "1ab00000" in (ROOT / path).read_text(encoding="utf-8")
    ]

    assert wrong == []
