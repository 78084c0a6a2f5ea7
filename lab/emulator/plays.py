"""How the emulator plays what is not known of the real service: named settings with several plays each.

A play is chosen at start (`EmulatorConfig.settings`) or at run time (`PUT /_lab/settings`). Which answers are recorded,
specified or assumed is listed in docs/emulation.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Plays:
    """Seconds are wall-clock seconds; a `Literal` lists the plays of one open question, the default first."""

    operation_seconds: float = 0.2
    """From an endpoint's or deployment's PUT or DELETE until its operation ends; minutes in the real service."""
    compute_seconds: float = 0.2
    """The same for computes."""
    retry_after: int = 0
    """Seconds said in `Retry-After` with an operation and its status; 0 says none, as the real service (recorded)."""
    delayed_listing: float = 0.0
    """A new resource or job is missing from lists for this many seconds; GET by id finds it at once."""
    operation_retention_seconds: float = 86_400.0
    """An operation that has ended is told about for this long, then its URL is 404 and the lab has forgotten it."""
    soft_delete_seconds: float = 0.0
    """The name of a deleted endpoint or asset cannot be used again for this long: 409."""
    role_assignment_seconds: float = 0.0
    """Blob storage refuses Entra ID tokens for this long after the setting was made, as if the role were new: 403."""
    token_seconds: int = 3600
    """Lifetime of an access token."""

    delete_default_deployment: Literal["refuse", "clear", "keep"] = "refuse"
    """refuse: 409. clear: deleted, and the default becomes null. keep: deleted, and the default names nothing."""
    default_names_nothing: Literal["refuse", "accept"] = "refuse"
    """A default that names no deployment. refuse: 400."""
    invoke_without_default: Literal["bad_request", "not_found"] = "bad_request"
    """Status of the documented text: 400 or 404."""
    update_while_updating: Literal["refuse", "accept"] = "refuse"
    """PUT, PATCH or DELETE while an operation on the same resource runs. refuse: 409. accept: the last one wins."""
    duplicate_name: Literal["conflict", "bad_request"] = "conflict"
    """An endpoint name held by another workspace of the region (`taken_names`): 409 or 400."""
    changed_asset: Literal["conflict", "bad_request", "accept"] = "conflict"
    """PUT of another content under the name of an existing asset version: 409, 400, or it is taken over."""
    create_only_property: Literal["accept", "ignore", "refuse"] = "accept"
    """PUT that changes what the specification calls create-only. ignore: success, and the old value stays."""
    parent_error: Literal["generic", "child"] = "generic"
    """What a failed job's own run says. generic: that a step failed; child: the step's own error."""
    step_error: Literal["reason", "exit_code"] = "reason"
    """What a failed step's run says. reason: the script's own error; exit_code: that its process ended with 42."""
    azureml_core: Literal["not_needed", "needed"] = "not_needed"
    """Of the environment of a scoring script. needed: without azureml-core a job fails, as the service documents it."""
    max_retries_counts: Literal["tries", "retries"] = "tries"
    """Whether `maxRetries` has the first try in it: 3 is three tries, or four."""
    row_order: Literal["input", "arrival"] = "input"
    """Of appended rows. arrival: as mini-batches end; the service promises no order."""

    taken_names: tuple[str, ...] = ()
    """Endpoint names that other workspaces of the region hold."""
    deployments_per_endpoint: int = 20
    endpoints_per_region: int = 100
    deployments_per_region: int = 500

    provisioning_seconds: float = 0.0
    """A job waits this long for nodes (status Preparing) before its driver is started."""
    max_drivers: int = 2
    """Scoring drivers at once; other jobs are Queued."""
    task_overhead_seconds: float = 0.0
    """Granted to each run() beyond its timeout, for being handed its mini-batch."""
    gpus_per_node: int = 0
    """As nodes would have; nothing of them is there but the variables that scripts read."""
    max_workers: int = 4
    """Bound of a job's worker processes: instanceCount x maxConcurrencyPerInstance, but at most this."""
    cancel_grace_seconds: float = 30.0
    """From a cancelled driver's SIGTERM to SIGKILL."""
    request_log: int = 2000
    """Requests that `GET /_lab/requests` remembers."""

    def changed(self, settings: Mapping[str, object]) -> Plays:
        """With these settings. Raises ValueError that names every unknown setting and unfit value at once."""
        hints = get_type_hints(Plays)
        values: dict[str, object] = {}
        wrong: list[str] = []
        for name, value in settings.items():
            if name not in hints:
                wrong.append(f"{name}: no such setting; there are {', '.join(sorted(hints))}")
                continue
            try:
                values[name] = _fit(value, hints[name])
            except ValueError as error:
                wrong.append(f"{name}: {error}, got {value!r}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return dataclasses.replace(self, **values)  # type: ignore[arg-type]  # fitted to the hints above

    def as_json(self) -> dict[str, object]:
        return dataclasses.asdict(self)


_MOST = 2**31 - 1


def _fit(value: object, hint: object) -> object:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"must be one of {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ValueError("must be a list of names")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise ValueError(f"must be a number of at least 0 and at most {_MOST}")
    if hint is int:
        if value != int(value):
            raise ValueError("must be a whole number")
        return int(value)
    return float(value)
