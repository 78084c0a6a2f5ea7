"""The program of bench/many_endpoints.py: endpoints with deployments below them. It is copied as a `__main__.py`.

Every endpoint waits for the stack's marker, every deployment for its endpoint, and nothing for anything else.
"""

import pulumi
from pulumi import ResourceOptions

from providers.batch_deployment import BatchDeployment, BatchDeploymentArgs, ModelReference
from providers.batch_endpoint import BatchEndpoint, BatchEndpointArgs, endpoint_id
from providers.ownership import Owner, OwnerArgs


def main() -> None:
    config = pulumi.Config()
    workspace, location = config.require("workspace"), config.require("location")
    compute, model = config.require("compute"), config.require("model")
    owner = Owner("owner", OwnerArgs(stack=f"{pulumi.get_project()}/{pulumi.get_stack()}"))
    for number in range(config.require_int("endpoints")):
        name = f"many-{number:03d}"
        endpoint = BatchEndpoint(
            name,
            BatchEndpointArgs(workspace_id=workspace, endpoint_name=name, location=location, owner=owner.id),
        )
        for colour in ("blue", "green"):
            BatchDeployment(
                f"{name}-{colour}",
                BatchDeploymentArgs(
                    endpoint_id=endpoint_id(workspace, name),
                    deployment_name=colour,
                    location=location,
                    compute=compute,
                    model=ModelReference(asset_id=model),
                    owner=owner.id,
                ),
                ResourceOptions(depends_on=[endpoint]),
            )


main()
