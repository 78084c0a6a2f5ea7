"""Operations of the specification that the lab refuses by name, and why; docs/emulation.md lists the same ones.

Whatever else is unknown is refused too, by its path.
"""

from __future__ import annotations

from lab.emulator.ids import PROVIDER
from lab.emulator.routes import RouteTable

_WORKSPACE = f"subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{PROVIDER}/workspaces/{{workspace}}"
_NO_NOTEBOOKS = "the lab has no notebooks"
_NO_NODES = "a cluster's nodes come and go by themselves"

PUT_JOBS = "jobs made through ARM (PUT jobs); it runs the jobs of batch endpoints, and changes those that are there"

REFUSED: tuple[tuple[str, str, str], ...] = (
    ("PATCH", "", "workspaces changed in part (PATCH workspaces); PUT is there"),
    ("POST", "diagnose", "diagnosis of a workspace (diagnose)"),
    ("POST", "listKeys", "keys of a workspace's own services (listKeys); listStorageAccountKeys is there"),
    ("POST", "listNotebookAccessToken", f"notebook tokens (listNotebookAccessToken); {_NO_NOTEBOOKS}"),
    ("POST", "listNotebookKeys", f"notebook keys (listNotebookKeys); {_NO_NOTEBOOKS}"),
    ("POST", "prepareNotebook", f"notebooks (prepareNotebook); {_NO_NOTEBOOKS}"),
    ("POST", "resyncKeys", "keys given to a workspace anew (resyncKeys); the lab's storage key never changes"),
    ("GET", "outboundNetworkDependenciesEndpoints", "network dependencies (outboundNetworkDependenciesEndpoints)"),
    ("POST", "computes/{compute}/start", f"starting a compute (start); {_NO_NODES}"),
    ("POST", "computes/{compute}/stop", f"stopping a compute (stop); {_NO_NODES}"),
    ("POST", "computes/{compute}/restart", f"restarting a compute (restart); {_NO_NODES}"),
    ("POST", "computes/{compute}/listNodes", "nodes of a compute (listNodes); jobs run as processes of this machine"),
    ("POST", "computes/{compute}/listKeys", "keys of a compute (listKeys); clusters have none"),
    *(
        ("POST", f"{kind}/{{name}}/versions/{{version}}/publish", f"publishing {kind} to a registry (publish)")
        for kind in ("codes", "models", "environments", "data", "components")
    ),
)
"""Method, path below the workspace, and what the lab does not know."""

_TABLE: RouteTable[str] = RouteTable(
    [(method, f"{_WORKSPACE}/{path}".rstrip("/"), what) for method, path, what in REFUSED]
)


def refusal(method: str, path: str) -> str | None:
    """What is refused in one clause, or None for a call that the specification does not have either."""
    found = _TABLE.find(method, path)
    return None if found is None else found.handler
