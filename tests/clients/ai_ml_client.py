"""A program that uses Microsoft's azure-ai-ml as its documentation does: public cloud, the environment's credentials.

    python ai_ml_client.py WORK_FOLDER DIGITS_FOLDER RESOURCE_GROUP WORKSPACE BLOB_ACCOUNT_URL

It is run by azure-ai-ml's own virtual environment and knows nothing of a lab. Each step prints one JSON line,
`{"step": name, ...}`, with what the SDK gave back; what the SDK prints on its own goes to stderr. A step that fails
ends the program.
"""

import contextlib
import io
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.ai.ml import Input, MLClient, Output
from azure.ai.ml.constants import AssetTypes, BatchDeploymentOutputAction
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    BatchRetrySettings,
    CodeConfiguration,
    Data,
    Environment,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
)
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobClient

ENDPOINT = "sdk-digits"
DEPLOYMENT = "digits"
COMPUTE = "sdk-cluster"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"


class Program:
    def __init__(self, client: Any, work: Path, digits: Path, account_url: str) -> None:
        self.client = client
        self.work = work
        self.digits = digits
        self.account_url = account_url
        self.jobs: dict[str, str] = {}
        self.place = ""

    def compute(self) -> dict[str, Any]:
        cluster = AmlCompute(name=COMPUTE, size="Standard_DS3_v2", min_instances=0, max_instances=2)
        made = self.client.compute.begin_create_or_update(cluster).result()
        listed = [each.name for each in self.client.compute.list()]
        return {"name": made.name, "size": made.size, "state": made.provisioning_state, "listed": listed}

    def endpoint(self) -> dict[str, Any]:
        endpoint = BatchEndpoint(name=ENDPOINT, description="made by azure-ai-ml", tags={"client": "azure-ai-ml"})
        made = self.client.batch_endpoints.begin_create_or_update(endpoint).result()
        return {"name": made.name, "scoring_uri": made.scoring_uri, "auth_mode": made.auth_mode, "tags": made.tags}

    def deployment(self) -> dict[str, Any]:
        """Code, model and conda file are folders and files of this machine; the SDK uploads and registers them."""
        deployment = ModelBatchDeployment(
            name=DEPLOYMENT,
            endpoint_name=ENDPOINT,
            model=Model(name="sdk-digits", path=str(self.digits / "model"), type=AssetTypes.CUSTOM_MODEL),
            code_configuration=CodeConfiguration(code=str(self.digits / "code"), scoring_script="score.py"),
            environment=Environment(image=IMAGE, conda_file=str(self.digits / "conda.yml")),
            compute=COMPUTE,
            settings=ModelBatchDeploymentSettings(
                instance_count=1,
                max_concurrency_per_instance=2,
                mini_batch_size=30,
                output_action=BatchDeploymentOutputAction.APPEND_ROW,
                output_file_name="predictions.csv",
                retry_settings=BatchRetrySettings(max_retries=2, timeout=60),
                logging_level="info",
                environment_variables={"CLIENT": "azure-ai-ml"},
            ),
        )
        made = self.client.batch_deployments.begin_create_or_update(deployment).result()
        again = self.client.batch_deployments.get(name=DEPLOYMENT, endpoint_name=ENDPOINT)
        return {
            "name": made.name,
            "state": made.provisioning_state,
            "model": again.model,
            "environment": again.environment,
            "code": again.code_configuration.code,
            "mini_batch_size": again.mini_batch_size,
            "listed": [each.name for each in self.client.batch_deployments.list(endpoint_name=ENDPOINT)],
        }

    def default(self) -> dict[str, Any]:
        endpoint = self.client.batch_endpoints.get(ENDPOINT)
        endpoint.defaults.deployment_name = DEPLOYMENT
        made = self.client.batch_endpoints.begin_create_or_update(endpoint).result()
        return {
            "default": made.defaults.deployment_name,
            "listed": [each.name for each in self.client.batch_endpoints.list()],
        }

    def datastores(self) -> dict[str, Any]:
        default = self.client.datastores.get_default()
        named = self.client.datastores.get(default.name)
        return {
            "default": default.name,
            "container": named.container_name,
            "listed": [each.name for each in self.client.datastores.list()],
        }

    def data_asset(self) -> dict[str, Any]:
        images = Data(name="sdk-images", version="1", path=str(self.digits / "images"), type=AssetTypes.URI_FOLDER)
        made = self.client.data.create_or_update(images)
        again = self.client.data.get("sdk-images", version="1")
        return {"id": made.id, "path": made.path, "type": again.type}

    def invoke_data_asset(self) -> dict[str, Any]:
        asset = Input(type=AssetTypes.URI_FOLDER, path="azureml:sdk-images:1")
        return self._invoked("data_asset", inputs={"images": asset})

    def invoke_datastore_path(self) -> dict[str, Any]:
        path = f"azureml://datastores/workspaceblobstore/paths/{self._images_path()}"
        return self._invoked("datastore_path", input=Input(type=AssetTypes.URI_FOLDER, path=path))

    def invoke_https(self) -> dict[str, Any]:
        """The https url of a folder in the workspace's storage account; a name for the job's experiment."""
        container = self.client.datastores.get_default().container_name
        folder = Input(type=AssetTypes.URI_FOLDER, path=f"{self.account_url}/{container}/{self._images_path()}")
        return self._invoked("https", input=folder, experiment_name="sdk-experiment")

    def invoke_everything(self) -> dict[str, Any]:
        """A local folder, a deployment by name, an output of its own, and every override that the documents name."""
        few = self.work / "few"
        few.mkdir()
        for image in sorted((self.digits / "images").glob("*.png"))[:10]:
            (few / image.name).write_bytes(image.read_bytes())
        self.place = f"azureml://datastores/workspaceblobstore/paths/sdk-out/{uuid.uuid4()}/mine.csv"
        return self._invoked(
            "everything",
            deployment_name=DEPLOYMENT,
            inputs={"images": Input(type=AssetTypes.URI_FOLDER, path=str(few))},
            outputs={"score": Output(type=AssetTypes.URI_FILE, path=self.place)},
            params_override=[
                {"mini_batch_size": "3"},
                {"compute.instance_count": "2"},
                {"retry_settings.max_retries": "1"},
                {"retry_settings.timeout": "45"},
                {"error_threshold": "0"},
                {"output_file_name": "mine.csv"},
            ],
        )

    def stream(self) -> dict[str, Any]:
        """`stream` prints the logs as they grow and returns when the job has ended; it raises when that has failed."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.client.jobs.stream(self.jobs["data_asset"])
        job = self.client.jobs.get(self.jobs["data_asset"])
        said = printed.getvalue()
        return {"status": job.status, "type": job.type, "experiment": job.experiment_name, "printed": said}

    def wait(self) -> dict[str, Any]:
        return {name: self._ended(job) for name, job in self.jobs.items()}

    def children(self) -> dict[str, Any]:
        found = list(self.client.jobs.list(parent_job_name=self.jobs["data_asset"]))
        return {"names": [each.name for each in found], "display": [each.display_name for each in found]}

    def download(self) -> dict[str, Any]:
        """The SDK looks for outputs where the service puts them when not told; another place is read as a blob."""
        folder = self.work / "downloaded"
        for name in ("data_asset", "datastore_path", "https"):
            self.client.jobs.download(name=self.jobs[name], download_path=folder / name, output_name="score")
        container = self.client.datastores.get_default().container_name
        url = f"{self.account_url}/{container}/{self.place.partition('/paths/')[2]}"
        with BlobClient.from_blob_url(url, credential=DefaultAzureCredential()) as blob:
            (folder / "everything").mkdir()
            (folder / "everything" / "mine.csv").write_bytes(blob.download_blob().readall())
        return {"files": sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())}

    def download_all(self) -> dict[str, Any]:
        folder = self.work / "all"
        self.client.jobs.download(name=self.jobs["data_asset"], download_path=folder, all=True)
        return {"files": sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())}

    def cancel(self) -> dict[str, Any]:
        """A job that is cancelled at once, and an ended one, for which that does nothing."""
        asset = Input(type=AssetTypes.URI_FOLDER, path="azureml:sdk-images:1")
        job = self.client.batch_endpoints.invoke(ENDPOINT, inputs={"images": asset})
        self.client.jobs.begin_cancel(job.name).result()
        self.client.jobs.begin_cancel(self.jobs["https"]).result()
        return {"status": self._ended(job.name), "ended": self.client.jobs.get(self.jobs["https"]).status}

    def list_jobs(self) -> dict[str, Any]:
        of_endpoint = self.client.batch_endpoints.list_jobs(endpoint_name=ENDPOINT)
        of_deployment = self.client.batch_deployments.list_jobs(endpoint_name=ENDPOINT, name=DEPLOYMENT)
        return {
            "mine": sorted(self.jobs.values()),
            "endpoint": [each.name for each in of_endpoint],
            "deployment": [each.name for each in of_deployment],
            "workspace": [each.name for each in self.client.jobs.list()],
        }

    def job_changes(self) -> dict[str, Any]:
        """A job is archived, restored, tagged and named."""
        job = self.jobs["https"]

        def listed(view: str) -> bool:
            return job in [each.name for each in self.client.jobs.list(list_view_type=view)]

        self.client.jobs.archive(job)
        archived = {view: listed(view) for view in ("ActiveOnly", "ArchivedOnly", "All")}
        self.client.jobs.restore(job)
        changed = self.client.jobs.update(job, display_name="renamed", tags={"looked": "at"})
        return {
            "archived": archived,
            "restored": listed("ActiveOnly"),
            "name": changed.display_name,
            "tags": changed.tags,
            "tagged": [each.name for each in self.client.jobs.list(tag="looked")],
        }

    def data_archive(self) -> dict[str, Any]:
        return self._archived(self.client.data, "sdk-images", "1")

    def models(self) -> dict[str, Any]:
        """A model registered by itself, from one file; versions count up."""
        weights = str(self.digits / "model" / "digits.npz")
        made = [
            self.client.models.create_or_update(Model(name="sdk-file", path=weights, tags={"round": str(number)}))
            for number in (1, 2)
        ]
        latest = self.client.models.get("sdk-file", label="latest")
        archived = self._archived(self.client.models, "sdk-file", "1")
        return {"versions": [each.version for each in made], "latest": latest.version, **archived}

    def environments(self) -> dict[str, Any]:
        named = Environment(name="sdk-env", version="3", image=IMAGE, conda_file=str(self.digits / "conda.yml"))
        made = self.client.environments.create_or_update(named)
        again = self.client.environments.get("sdk-env", version="3")
        archived = self._archived(self.client.environments, "sdk-env", "3")
        return {"id": made.id, "conda": again.conda_file["name"], **archived}

    def container_archive(self) -> dict[str, Any]:
        """Without a version, archiving hides the whole model."""
        return self._archived(self.client.models, "sdk-file", None)

    def update(self) -> dict[str, Any]:
        """A deployment read, changed and written again; tags and description of the endpoint too."""
        deployment = self.client.batch_deployments.get(name=DEPLOYMENT, endpoint_name=ENDPOINT)
        deployment.mini_batch_size = 7
        deployment.description = "changed"
        changed = self.client.batch_deployments.begin_create_or_update(deployment).result()
        endpoint = self.client.batch_endpoints.get(ENDPOINT)
        endpoint.tags["changed"] = "yes"
        tagged = self.client.batch_endpoints.begin_create_or_update(endpoint).result()
        return {
            "mini_batch_size": changed.mini_batch_size,
            "description": changed.description,
            "tags": tagged.tags,
            "default": tagged.defaults.deployment_name,
        }

    def delete(self) -> dict[str, Any]:
        """A second deployment goes by itself, the rest with its endpoint."""
        first = self.client.batch_deployments.get(name=DEPLOYMENT, endpoint_name=ENDPOINT)
        second = ModelBatchDeployment(
            name="second",
            endpoint_name=ENDPOINT,
            model=first.model,
            environment=first.environment,
            code_configuration=CodeConfiguration(code=first.code_configuration.code, scoring_script="score.py"),
            compute=COMPUTE,
        )
        self.client.batch_deployments.begin_create_or_update(second).result()
        self.client.batch_deployments.begin_delete(name="second", endpoint_name=ENDPOINT).result()
        left = [each.name for each in self.client.batch_deployments.list(endpoint_name=ENDPOINT)]
        self.client.batch_endpoints.begin_delete(ENDPOINT).result()
        self.client.compute.begin_delete(COMPUTE).result()
        return {"left": left, "endpoint": self._gone(lambda: self.client.batch_endpoints.get(ENDPOINT))}

    def _invoked(self, form: str, **how: Any) -> dict[str, Any]:
        job = self.client.batch_endpoints.invoke(endpoint_name=ENDPOINT, **how)
        self.jobs[form] = job.name
        return {"job": job.name, "status": job.status}

    def _images_path(self) -> str:
        """Where the data asset's images lie in the default datastore."""
        path: str = self.client.data.get("sdk-images", version="1").path
        return path.partition("/paths/")[2]

    def _ended(self, job: str) -> str:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            status: str = self.client.jobs.get(job).status
            if status in {"Completed", "Failed", "Canceled"}:
                return status
            time.sleep(0.5)
        raise TimeoutError(f"{job} has not ended")

    def _archived(self, assets: Any, name: str, version: str | None) -> dict[str, Any]:
        """What the list of active versions says before, after archiving, and after restoring."""

        def active() -> list[str]:
            if version is None:
                return [each.name for each in assets.list()]
            return [each.version for each in assets.list(name=name)]

        seen = {"active": active()}
        assets.archive(name, version=version)
        seen["archived"] = active()
        assets.restore(name, version=version)
        return {**seen, "restored": active()}

    @staticmethod
    def _gone(ask: Callable[[], object]) -> str:
        try:
            ask()
        except ResourceNotFoundError:
            return "gone"
        return "there"


STEPS = (
    *("compute", "endpoint", "deployment", "default", "datastores", "data_asset"),
    *("invoke_data_asset", "invoke_datastore_path", "invoke_https", "stream", "invoke_everything", "wait"),
    *("children", "download", "download_all", "cancel", "list_jobs", "job_changes"),
    *("data_archive", "models", "environments", "container_archive", "update", "delete"),
)


def main(arguments: list[str]) -> None:
    work, digits, group, workspace, account_url = arguments
    client = MLClient(DefaultAzureCredential(), os.environ["ARM_SUBSCRIPTION_ID"], group, workspace)
    program = Program(client, Path(work), Path(digits), account_url)
    for step in STEPS:
        began = time.monotonic()
        with contextlib.redirect_stdout(sys.stderr):
            said = getattr(program, step)()
        print(json.dumps({"step": step, "seconds": round(time.monotonic() - began, 1), **said}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
