"""A copy of the project with the least content that uses every kind: what costs seconds in it is engine and waiting."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from lab import identity
from tests.lifecycle.checkout import Checkout

SCRIPT = """import os


def init() -> None:
    assert os.listdir(os.environ["AZUREML_MODEL_DIR"])


def run(mini_batch: list[str]) -> list[str]:
    return [os.path.basename(path) for path in mini_batch]
"""
# No pip packages: the environment is ready at once.
CONDA = "name: small\ndependencies:\n  - python\n"
ROWS = 2
OPERATION_SECONDS = 0.05


class SmallCheckout(Checkout):
    """All kinds on one endpoint; the lab's operations take 0.05 s."""

    def __init__(self, folder: Path, engine: str) -> None:
        super().__init__(folder, engine)
        shutil.rmtree(folder / "examples")
        for name, text in {
            "code/score.py": SCRIPT,
            "model/weights.txt": "1 2 3\n",
            "data/a.txt": "a\n",
            "data/b.txt": "b\n",
            "conda.yml": CONDA,
        }.items():
            path = folder / "small" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (folder / "stacks" / "Pulumi.lab.yaml").write_text(yaml.safe_dump(settings()), encoding="utf-8")

    def start_lab(self) -> None:
        """Start the lab, and set its pace; a lab that was started anew has forgotten it."""
        self.lab.start()
        self.control("PUT", "settings", {"operation_seconds": OPERATION_SECONDS, "compute_seconds": OPERATION_SECONDS})


def settings() -> dict[str, Any]:
    """The stack file."""
    deployment = {
        "code": "small/code",
        "scoring_script": "score.py",
        "model": "small/model",
        "environment": {"image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", "conda_file": "small/conda.yml"},
        "mini_batch_size": 1,
        "error_threshold": 0,
    }
    values = {
        "subscription_id": identity.SUBSCRIPTION_ID,
        "resource_group": identity.RESOURCE_GROUP,
        "workspace": identity.WORKSPACE,
        "location": identity.LOCATION,
        "compute": {"name": "cpu"},
        "endpoint": {"description": "small", "tags": {"team": "blue"}},
        "deployments": {"small": deployment},
        "default": "small",
        "smoke_job": {"input": "small/data", "expected_rows": ROWS},
        "tags": {"made-by": "faults"},
    }
    return {"config": {f"batch-scoring:{name}": value for name, value in values.items()}}
