"""An endpoint's jobs as JSON; things deleted and changed behind an engine's back: run inside a lab.

python -m lab run -- python -m tests.faults.census jobs ENDPOINT_ID
python -m lab run -- python -m tests.faults.census delete ARM_ID
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from providers.aml.datastore import locate, open_container
from providers.arm import client
from providers.blob import delete_prefix
from tests.faults.cloud import API, WORKSPACE, Cloud

_READ_ONLY = ("provisioningState",)


def main(arguments: Sequence[str]) -> int:
    verb, arm_id = arguments
    cloud = Cloud()
    if verb == "delete":
        query = {"underlyingResourceAction": "Delete"} if "/computes/" in arm_id else None
        cloud.arm.delete(arm_id, api_version=API, query=query, deadline=60)
        return 0
    if verb == "spoil":
        spoil(cloud, arm_id)
        return 0
    jobs = []
    for job in cloud.jobs(arm_id):
        live = cloud.get(f"{WORKSPACE}/jobs/{job['name']}") or {"properties": {}}
        outputs = (job["properties"].get("outputData") or {}).values()
        jobs.append(
            {
                "name": job["name"],
                "output": next((each["uri"] for each in outputs), ""),
                "status": live["properties"].get("status"),
                "created": (live.get("systemData") or {}).get("createdAt"),
            }
        )
    print(json.dumps(jobs))
    return 0


def spoil(cloud: Cloud, endpoint_id: str) -> None:
    """Change or delete one of each kind, as somebody would by hand."""
    endpoint = _found(cloud, endpoint_id)
    deployment = _found(cloud, f"{endpoint_id}/deployments/{endpoint['properties']['defaults']['deploymentName']}")
    code = _found(cloud, deployment["properties"]["codeConfiguration"]["codeId"])
    model = deployment["properties"]["model"]["assetId"]
    keep = {key: deployment[key] for key in ("location", "tags")}
    sent = {
        key: value for key, value in deployment["properties"].items() if key not in _READ_ONLY and value is not None
    }
    cloud.put(deployment["id"], {**keep, "properties": {**sent, "miniBatchSize": 77}})
    properties = {"authMode": "AADToken", "description": "changed by hand", "defaults": {"deploymentName": None}}
    cloud.put(endpoint_id, {**{key: endpoint[key] for key in ("location", "tags")}, "properties": properties})
    tags = {**code["properties"]["tags"], "made-by": "hand"}
    cloud.put(code["id"], {"properties": {"codeUri": code["properties"]["codeUri"], "tags": tags}})
    place = locate(client("public"), _found(cloud, model)["properties"]["modelUri"])
    delete_prefix(open_container(client("public"), place), f"{place.path.rpartition('/')[0]}/")
    cloud.delete(model)


def _found(cloud: Cloud, arm_id: str) -> dict[str, Any]:
    found = cloud.get(arm_id)
    assert found, f"{arm_id} is not there"
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
