"""Peak memory of the processes of a run, by what they are."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

EVERY_SECONDS = 0.05
ROLES: Mapping[str, str] = {
    r"-m lab\.engine\b": "engine",
    r"(^|/)pulumi (up|preview|destroy)\b": "engine",
    r"-m pulumi\.dynamic\b|pulumi-resource-pulumi-python": "dynamic provider",
    r"-m lab\.azure_native\b": "azure-native stand-in",
    r"-m lab\.scoring\b": "scoring driver",
    r"/lab/scoring/worker\.py\b": "scoring process",
    r"pulumi-language-python-exec|lab/engine/program\.py|lab/engine/worker\.py": "program",
}
"""Pattern of a command line -> what such a process is. The first that fits counts."""
_WRAPPERS = r"^\S*(sh|timeout) |lab/engine/child\.py|pulumi-language-python( |$)"


def role(command: Sequence[str]) -> str | None:
    """What a process is by its command line; None when it is nothing that is told of."""
    text = " ".join(command)
    if re.search(_WRAPPERS, text):
        return None
    return next((name for pattern, name in ROLES.items() if re.search(pattern, text)), None)


class Peaks:
    """While its block runs, looks at a process and all below it; `mib` then has the peak of each role's largest one."""

    def __init__(self, root: int) -> None:
        self.mib: dict[str, float] = {}
        self._root = psutil.Process(root)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peaks")

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(EVERY_SECONDS):
            try:
                below = self._root.children(recursive=True)
            except psutil.NoSuchProcess:
                return
            for process in [self._root, *below]:
                self._look(process)

    def _look(self, process: psutil.Process) -> None:
        try:
            name = role(process.cmdline())
            if name is not None:
                self.mib[name] = max(self.mib.get(name, 0.0), resident_mib(process))
        except psutil.Error:
            return  # it ended while it was looked at


def peak_mib(process: psutil.Process) -> float:
    """The most it has had since it began, where the kernel says that (Linux); elsewhere what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text("ascii"), re.MULTILINE) if status.is_file() else None
    return int(found[1]) / 1024 if found else resident_mib(process)


def resident_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20
