"""Before an endpoint or a deployment is deleted: what serves is not, and what runs on it is ended or waited for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input

from providers import checks, dynamic_host
from providers.aml import running
from providers.aml.datastore import check_datastore_uri, find
from providers.aml.refusal import Refusal
from providers.aml.running import Place
from providers.aml.workspace import Workspace
from providers.amounts import counted, length
from providers.arm import ArmError
from providers.blob import delete_below
from providers.kind import AzureArgs, client, container_at, deadline
from providers.schema import LOCAL, prop

_NAMED = 3  # jobs, in a message


@dataclass(frozen=True, kw_only=True)
class JobHostArgs(AzureArgs):
    """Inputs of what jobs run on."""

    jobs_uri: Input[str] | None = prop(
        "Datastore uri below which the stack's own jobs on it write: those that run when it is deleted are cancelled, "
        "and what they wrote goes with it.",
        default=None,
        check=check_datastore_uri,
        change=LOCAL,
        wire=None,
    )
    shared_key: Input[bool] | None = prop(
        "Look there with the storage account's key instead of an Entra ID token.",
        default=None,
        change=LOCAL,
        wire=None,
    )


def default_of(endpoint: Mapping[str, Any]) -> str | None:
    """The service says `{"deploymentName": null}` where none was ever set; older answers lack `defaults`."""
    return ((endpoint.get("properties") or {}).get("defaults") or {}).get("deploymentName") or None


def refuse_default(props: Mapping[str, Any]) -> None:
    """Raise Refusal when the deployment of these inputs is what its endpoint answers with.

    What the service makes of an endpoint whose default is deleted is not known. State knows of no such default: it has
    been moved by somebody else.
    """
    endpoint = client(props).get(props["endpoint_id"], api_version=props["api_version"])
    if endpoint and (default_of(endpoint) or "").lower() == str(props["deployment_name"]).lower():
        raise Refusal(
            f"{props['deployment_name']} is the default deployment of {props['endpoint_id']}, and is not deleted: "
            "somebody has moved the default to it; `make refresh` notices, and `make up` moves it back first",
            name="deployment-serves",
        )


def end_own_jobs(batch_id: str, props: Mapping[str, Any]) -> None:
    """Cancel the stack's own jobs that still run on a deployment, or on any of an endpoint, and wait for their end."""
    place = _place(props)
    if place is not None:
        running.end_below(
            _workspace(batch_id, props),
            place,
            batch_id,
            within=deadline(props, "delete"),
            progress=dynamic_host.progress(),
        )


def delete_outputs(props: Mapping[str, Any]) -> None:
    """Delete what the stack's own jobs wrote; the records of the jobs stay."""
    place = _place(props)
    if place is not None:
        delete_below(place.container, place.location.path.rstrip("/") + "/")


def wait_for_jobs(deployment_id: str, props: Mapping[str, Any]) -> None:
    """Wait for other people's jobs that run on a deployment, as long as `drain` says.

    Raises Refusal when some still do then. A job needs its deployment's model until its last worker has started, and
    that is deleted after the deployment.
    """
    within = checks.seconds(str(props["drain"])) if props.get("drain") else 0.0
    if not within:
        return
    try:
        left = running.wait_for_others(
            _workspace(deployment_id, props),
            deployment_id,
            within=within,
            progress=dynamic_host.progress(),
            elapsed=dynamic_host.stopwatch(),
        )
    except ArmError as error:
        raise Refusal(
            f"whether jobs still run on {deployment_id} cannot be known, so it is not deleted: {error}",
            name="deployment-jobs-unreadable",
        ) from error
    if left:
        names = ", ".join(left[:_NAMED]) + (", ..." if len(left) > _NAMED else "")
        raise Refusal(
            f"{deployment_id} stays for now: still running on it after {length(str(props['drain']))} (`drain`): "
            f"{counted(len(left), 'job')} ({names}), for which its model must be there",
            name="deployment-in-use",
        )


def _place(props: Mapping[str, Any]) -> Place | None:
    uri = props.get("jobs_uri")
    location = find(client(props), uri) if uri else None
    return Place(uri=str(uri), location=location, container=container_at(location, props)) if location else None


def _workspace(batch_id: str, props: Mapping[str, Any]) -> Workspace:
    return Workspace(client(props), batch_id.partition("/batchEndpoints/")[0], str(props["api_version"]))
