"""A kind for the tests of the dynamic-provider server; importable there by name, as users' kinds are."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input
from pulumi.dynamic import CreateResult, ReadResult, UpdateResult

from providers import dynamic_host
from providers.dynamic_host import InitFailed
from providers.kind import AzureArgs, Kind, Refusal, deadline, gone
from providers.schema import prop


@dataclass(frozen=True, kw_only=True)
class LampArgs(AzureArgs):
    mood: Input[str] = prop("What create does.")
    environment_variables: Input[Mapping[str, str]] | None = prop("What nobody may see.", default=None)


class LampKind(Kind):
    args = LampArgs

    def create(self, props: Mapping[str, Any]) -> CreateResult:
        mood = props["mood"]
        if mood == "refuse":
            raise Refusal("the lamp is taken; choose another name", name="not-ours")
        if mood == "half":
            raise InitFailed("lamp-1", {**self.owned(props), "lit": False}, "the bulb is broken", name="job-failed")
        if mood == "quote":
            raise Refusal(
                f"the lamp does not take {json.dumps(props['environment_variables'], sort_keys=True)}", name="not-ours"
            )
        if mood == "bug":
            raise KeyError("socket")
        if mood == "talk":
            dynamic_host.progress()("warming up, 1 s")
        if mood == "together":
            # Passes only when as many calls run at once as there are parties.
            _meeting.wait(timeout=120)
        if mood == "count":
            threads = threading.current_thread()._args[0]()._max_workers  # type: ignore[attr-defined]
            return CreateResult("lamp-1", {"threads": threads})
        return CreateResult("lamp-1", {**self.owned(props), "timeout": deadline(props, "create"), "urn": _urn()})

    def read(self, id_: str, props: Mapping[str, Any]) -> ReadResult:
        if props["mood"] == "gone":
            return gone()
        return ReadResult(id_, self.owned(props), self.owned(props))

    def update(self, _id: str, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> UpdateResult:
        return UpdateResult(self.owned(news))

    def delete(self, _id: str, _props: Mapping[str, Any]) -> None:
        """NO-OP: a lamp is nowhere."""


MEETING = 24
_meeting = threading.Barrier(MEETING)


def _urn() -> str:
    call = dynamic_host.current_call()
    return call.urn if call else ""
