"""What azure-native's errors mean, by the same table as this project's own: azure-native repeats Azure, no more."""

import re
from collections.abc import Iterator
from pathlib import Path

from providers.arm.errors import ArmError
from providers.explanations import PAGE, explain
from stacks.existing import diagnostics

_SAID = re.compile(r'Status=(?P<status>\d{3}) Code="(?P<code>[^"]*)" Message="(?P<message>.*)"', re.DOTALL)
_UNEXPLAINED = ("bug", "refused-by-the-service")
"""What fits everything explains nothing; an answer of Azure is no mistake of this project either."""


def explained(event_log: Path) -> Iterator[str]:
    """One line for each resource of azure-native that failed in the run whose engine events lie there."""
    seen = set()
    for event in diagnostics(event_log):
        urn, said = str(event.get("urn") or ""), _SAID.search(str(event.get("message")))
        if said is None or "azure-native:" not in urn:
            continue
        entry = explain(ArmError(said["message"], status=int(said["status"]), code=said["code"]))
        line = f"{urn.rpartition('::')[2]}: {entry.cause}; {entry.remedy} ({PAGE}#{entry.name})"
        if entry.name not in _UNEXPLAINED and line not in seen:
            seen.add(line)
            yield line
