"""The folder of an MLflow model, as far as the service must find it whole to score it without a scoring script."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FLAVOR = "python_function"
"""What batch deployments take; https://learn.microsoft.com/azure/machine-learning/how-to-mlflow-batch."""


def is_mlflow_model(folder: str) -> bool:
    return Path(folder, "MLmodel").is_file()


def faults(folder: str, *, scripted: bool) -> Iterator[str]:
    """Why the model in this folder could not be scored, in sentences that name the file.

    `scripted`: the deployment has a scoring script and an environment, so that the model need not bring its own.
    """
    path = Path(folder, "MLmodel")
    if not Path(folder).is_dir():
        yield f"{folder} is a file: an MLflow model is a folder, with a file MLmodel in it"
        return
    if not path.is_file():
        yield f"{path}: no such file: an MLflow model is a folder with one, as MLflow's save_model writes it"
        return
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        yield f"{path} cannot be read: {' '.join(str(error).split())}"
        return
    flavors = described.get("flavors") if isinstance(described, Mapping) else None
    if not isinstance(flavors, Mapping):
        yield f"{path} has no `flavors`, so it describes no model"
    elif not scripted:
        yield from _unfit(path, flavors)


def _unfit(path: Path, flavors: Mapping[str, Any]) -> Iterator[str]:
    flavor = flavors.get(FLAVOR)
    if not isinstance(flavor, Mapping):
        yield (
            f"{path} has no flavor {FLAVOR} (it has {', '.join(map(str, flavors)) or 'none'}), the only one that is "
            "scored without a scoring script: save it with that one, or set `code`, `scoring_script` and `environment`"
        )
        return
    said = flavor.get("env")
    for name in said.values() if isinstance(said, Mapping) else [said]:
        if isinstance(name, str) and not Path(path.parent, name).is_file():
            yield f"{path} names {name} as its environment, which is not in the folder"
