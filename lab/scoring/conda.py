"""What a conda file asks for, as far as the lab can give it: a Python version and pip requirements. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

_INSTALLED_BY_NAME = frozenset({"setuptools", "wheel"})
"""Conda packages that carry the same name and versions on PyPI and that conda files list as tools beside pip."""

_SPEC = re.compile(r"^(?:[\w.-]+::)?(?P<name>[A-Za-z0-9_.-]+)\s*(?P<version>.*)$")


class CondaError(ValueError):
    """The conda file cannot be used; the text is one sentence that names the line."""


@dataclass(frozen=True)
class CondaFile:
    requirements: tuple[str, ...]
    """Lines of the pip part (and of tools beside it), in their order, as pip reads them."""
    python: str | None
    """Version wanted, as `3.10` or `3.8.5`; None when the file does not say."""
    provided: tuple[str, ...]
    """Conda dependencies that need nothing: python and pip."""
    unprovided: tuple[str, ...]
    """Conda dependencies that the lab cannot give, as written."""


def parse_conda(text: str) -> CondaFile:
    """Reads a conda file, YAML or JSON; raises CondaError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CondaError(f"is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, Mapping):
        raise CondaError(f"must be a mapping with 'dependencies', got {type(document).__name__}")
    dependencies = document.get("dependencies")
    if not isinstance(dependencies, list):
        raise CondaError(f"'dependencies' must be a list, got {dependencies!r}")
    requirements: list[str] = []
    provided: list[str] = []
    unprovided: list[str] = []
    python: str | None = None
    for dependency in dependencies:
        if isinstance(dependency, Mapping):
            requirements += _pip_part(dependency)
            continue
        match = _SPEC.match(str(dependency).strip()) if isinstance(dependency, str) else None
        if match is None:
            raise CondaError(f"dependency {dependency!r} must be 'name=version' or 'pip:' with a list")
        name, version = match["name"].lower(), match["version"].strip()
        if name == "python":
            python = _python_version(version)
            provided.append(dependency)
        elif name == "pip":
            provided.append(dependency)
        elif name in _INSTALLED_BY_NAME:
            requirements.append(name + pip_version(version))
        else:
            unprovided.append(dependency)
    return CondaFile(tuple(requirements), python, tuple(provided), tuple(unprovided))


def pip_version(conda: str) -> str:
    """A conda version constraint in pip's words: `=1.2` is `==1.2.*`, `1.2` is `==1.2`, builds are dropped."""
    conda = re.sub(r"\s+", "", conda)
    if not conda:
        return ""
    if conda[0] == "=" and conda[:2] != "==":
        parts = conda[1:].split("=")  # version, build
        exact = len(parts) > 1
        return f"=={parts[0]}" if exact or parts[0].endswith("*") else f"=={parts[0]}.*"
    if conda[0].isdigit():
        return f"=={conda.split('=')[0]}"
    return conda


def normalised(requirement: str) -> str:
    """A requirement line without what makes no difference: case of its name, spaces around its version."""
    head, marker, tail = requirement.partition(";")
    if head.startswith("-") or "@" in head:
        return requirement
    match = re.match(r"([A-Za-z0-9._-]+)(.*)", head)
    if match is None:
        return requirement
    name = re.sub(r"[-_.]+", "-", match[1]).lower()
    return name + re.sub(r"\s+", "", match[2]) + marker + tail


def named_requirement(requirements: tuple[str, ...], output: str) -> str | None:
    """The requirement line that an installer's failure speaks of, if it speaks of exactly one of them."""
    named = []
    for line in requirements:
        match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if match is None:
            continue
        pattern = re.sub(r"[-_.]+", "[-_.]+", re.escape(match[0]).replace(r"\-", "-").replace(r"\.", "."))
        if re.search(rf"(?<![\w.-]){pattern}(?![\w-])", output, re.IGNORECASE):
            named.append(line)
    return named[0] if len(named) == 1 else None


def _pip_part(dependency: Mapping[object, object]) -> list[str]:
    lines = dependency.get("pip")
    if set(dependency) != {"pip"} or not isinstance(lines, list):
        raise CondaError(f"dependency {dict(dependency)!r} must be 'pip:' with a list of requirements")
    requirements = [" ".join(str(line).split()) for line in lines]
    for line in requirements:
        if re.match(r"(-r|--requirement|-c|--constraint|-e|--editable)\b", line) or line.startswith(
            (".", "/", "file:")
        ):
            raise CondaError(f"pip requirement {line!r} names a local file, which an environment does not carry")
    return [line for line in requirements if line and not line.startswith("#")]


def _python_version(constraint: str) -> str | None:
    """The version that `=3.10`, `==3.8.5`, `3.9.*` or `>=3.8,<3.12` asks for; None for an open range."""
    match = re.fullmatch(r"={0,2}\s*(\d+(?:\.\d+){0,2})(?:\.\*|\*)?(?:=.*)?", constraint)
    if match is None:
        return None
    return match[1]
