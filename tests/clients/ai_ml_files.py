"""Run by azure-ai-ml's own Python: the bodies that it makes of `az ml` files, as JSON. Nothing is sent.

python ai_ml_files.py COMPUTE ENDPOINT DEPLOYMENT
"""

import json
import sys
from typing import Any

from azure.ai.ml import load_batch_endpoint, load_compute  # type: ignore[import-not-found,unused-ignore]
from azure.ai.ml.entities._load_functions import (  # type: ignore[import-not-found,unused-ignore]
    load_model_batch_deployment,
)


def bodies(compute: str, endpoint: str, deployment: str) -> dict[str, Any]:
    return {
        "compute": load_compute(compute)._to_rest_object().as_dict(),
        "endpoint": load_batch_endpoint(endpoint)._to_rest_batch_endpoint(location="eastus").as_dict(),
        "deployment": load_model_batch_deployment(deployment)._to_rest_object(location="eastus").as_dict(),
    }


if __name__ == "__main__":
    print(json.dumps(bodies(*sys.argv[1:]), default=str))
