"""Logs read for what went wrong: the first Python traceback, the package that an environment could not have. Pure."""

import re
from dataclasses import dataclass

_START = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_NOT_THE_USERS = re.compile(r"site-packages|dist-packages|/lib/python\d|azureml_user|(^|/)driver/|^<frozen")
"""Python's own files, installed packages, and the driver that calls the script."""
_ON = re.compile(r"^This was \w+\(\) on (?P<on>.+?)\.?$")
_INPUT_FILE = re.compile(r"processing input file: '(?P<file>[^']+)'")
"""How the script that the service generates for MLflow models names the file (SCORING: azureml-examples)."""

_PACKAGE = (
    # pip, conda, mamba, apt, uv: each says in its own way what it could not have. The first that is found counts.
    re.compile(r"No matching distribution found for .+"),
    re.compile(r"Could not find a version that satisfies the requirement .+"),
    re.compile(r"ERROR: Invalid requirement.+"),
    re.compile(r"(Failed building wheel for|Failed to build) .+"),
    re.compile(r"(PackagesNotFoundError|ResolvePackageNotFound).*"),
    re.compile(r"nothing provides (requested )?.+"),
    re.compile(r"E: Unable to locate package .+"),
    re.compile(r"Because .+ (was not found|there is no version|there are no versions|is not available).*"),
    re.compile(r"× (Failed to|No solution).+"),
)


@dataclass(frozen=True)
class Raised:
    """The last line of a traceback, and where the user's own code was."""

    text: str
    file: str
    """Without folders; empty where no frame names one."""
    line: int
    on: str
    """What the script was working on; empty where the log does not say."""
    start: int
    """Index of the log's line that the traceback begins in."""
    length: int
    """How many lines it has."""

    def __str__(self) -> str:
        return f"{self.text} ({self.file}, line {self.line})" if self.file else self.text

    def around(self, log: str, most: int) -> tuple[str, ...]:
        """The traceback with a line before and after it; of a long one the end, where the reason is."""
        lines = log.splitlines()
        shown = lines[max(0, self.start - 1) : self.start + self.length + 1]
        return tuple(line.rstrip() for line in shown[-most:])


def first(log: str) -> Raised | None:
    """The first traceback of a log, None without one.

    The line is the innermost one of the user's own files: not of an installed package, nor of Python's.
    """
    lines = log.splitlines()
    start = next((index for index, line in enumerate(lines) if _START in line), None)
    if start is None:
        return None
    for index in range(start + 1, len(lines)):
        line = lines[index]
        if line and not line.startswith((" ", "\t")):
            frames = [match for each in lines[start:index] if (match := _FRAME.match(each))]
            own = [frame for frame in frames if not _NOT_THE_USERS.search(frame["file"])]
            where = next(reversed(own or frames), None)
            return Raised(
                text=line.strip(),
                file=where["file"].rsplit("/", 1)[-1] if where else "",
                line=int(where["line"]) if where else 0,
                on=_worked_on(lines[index : index + 3]),
                start=start,
                length=index - start + 1,
            )
    return None


def failed_package(log: str) -> str:
    """The line of a build log that says which package could not be had; empty where none does."""
    lines = [line.strip(" │├╰─▶\t") for line in log.splitlines()]
    for pattern in _PACKAGE:
        for index, line in enumerate(lines):
            found = pattern.search(line)
            if found:
                following = lines[index + 1] if index + 1 < len(lines) else ""
                # conda names what is missing below its error.
                tail = f" {following}" if found[0].endswith(":") and following.startswith("-") else ""
                return f"{found[0].strip()}{tail}"[:400]
    return ""


def around(log: str, what: str, most: int) -> tuple[str, ...]:
    """The lines of a log around the one that holds the beginning of `what`."""
    lines = log.splitlines()
    index = next((index for index, line in enumerate(lines) if what[:60] in line), len(lines) - 1)
    first_line = max(0, index - most // 2)
    return tuple(line.rstrip() for line in lines[first_line : first_line + most])


def _worked_on(lines: list[str]) -> str:
    for line in lines:
        said = _ON.match(line.strip())
        if said:
            return said["on"]
        named = _INPUT_FILE.search(line)
        if named:
            return named["file"]
    return ""
