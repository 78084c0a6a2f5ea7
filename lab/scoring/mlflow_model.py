"""An MLflow model that is to be scored without script and environment: what its own files say of both.

The environment is the model's conda file (or its list of pip requirements), and what reading the input takes besides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lab.scoring.spec import EnvironmentSpec

_PARQUET = frozenset({".parquet", ".pqt"})
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif"})
_RELEASE = re.compile(r"\d+(\.\d+)+")


class MlflowModelError(ValueError):
    """The model cannot be scored without a script; the text is one sentence that names the file."""


@dataclass(frozen=True)
class MlflowModel:
    """What a model asks for."""

    mlflow_version: str | None
    python: str | None
    """Version, where the model says one without a conda file."""
    dependencies: tuple[Any, ...]
    """As a conda file lists them, the pip part among them."""


def read_mlflow_model(folder: Path) -> MlflowModel:
    """Reads the model in a folder. Raises MlflowModelError."""
    description = _mapping(folder / "MLmodel", "MLmodel")
    flavors = description.get("flavors")
    pyfunc = flavors.get("python_function") if isinstance(flavors, Mapping) else None
    if not isinstance(pyfunc, Mapping):
        known = ", ".join(map(str, flavors)) if isinstance(flavors, Mapping) and flavors else "none"
        raise MlflowModelError(
            f"MLmodel has no flavor python_function (flavors: {known}): batch deployments without a scoring script "
            "take models of that flavor only"
        )
    version = description.get("mlflow_version")
    return MlflowModel(str(version) if version else None, *_needs(folder, pyfunc.get("env")))


def environment_of(model: MlflowModel, name: str, version: str, files: Iterable[str]) -> EnvironmentSpec:
    """The environment that scores files of these names. It is the model's own, so it has the model's name."""
    dependencies = [each for each in model.dependencies if not isinstance(each, Mapping)]
    pip = [line for each in model.dependencies if isinstance(each, Mapping) for line in each.get("pip") or []]
    named = {_name(line) for line in (*dependencies, *pip) if isinstance(line, str)}
    if not named & {"mlflow", "mlflow-skinny"}:
        pinned = model.mlflow_version and _RELEASE.fullmatch(model.mlflow_version)
        pip.append(f"mlflow-skinny=={model.mlflow_version}" if pinned else "mlflow-skinny")
    suffixes = {PurePosixPath(file).suffix for file in files}
    readers = ["pandas", *(["pyarrow"] if suffixes & _PARQUET else []), *(["pillow"] if suffixes & _IMAGES else [])]
    pip += [reader for reader in readers if reader not in named]
    if model.python:
        dependencies.insert(0, f"python={model.python}")
    return EnvironmentSpec(
        f"of model {name}", version, None, json.dumps({"dependencies": [*dependencies, {"pip": pip}]})
    )


def _needs(folder: Path, said: Any) -> tuple[str | None, tuple[Any, ...]]:
    """Python version and dependencies, from the files that `env` of the flavor names: a conda file's name, or a mapping
    of `conda` and `virtualenv` to names. Without any, requirements.txt, which MLflow writes beside them."""
    files = said if isinstance(said, Mapping) else {"conda": said}
    if files.get("conda"):
        conda = _mapping(folder / str(files["conda"]), str(files["conda"]))
        dependencies = conda.get("dependencies")
        if not isinstance(dependencies, list):
            raise MlflowModelError(f"{files['conda']}, which MLmodel names, has no list of dependencies")
        return None, tuple(dependencies)
    python = None
    if files.get("virtualenv"):
        python = _mapping(folder / str(files["virtualenv"]), str(files["virtualenv"])).get("python")
    requirements = folder / "requirements.txt"
    lines = requirements.read_text("utf-8").splitlines() if requirements.is_file() else []
    return python and str(python), ({"pip": [line.strip() for line in lines if line.strip()]},)


def _mapping(path: Path, name: str) -> Mapping[str, Any]:
    if not path.is_file():
        raise MlflowModelError(f"there is no file {name} in the model's folder {path.parent.name}")
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise MlflowModelError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, Mapping):
        raise MlflowModelError(f"{name} must be a mapping")
    return found


def _name(requirement: str) -> str:
    """Of a package, as the index spells it."""
    found = re.match(r"(?:[\w.-]+::)?([A-Za-z0-9._-]+)", requirement.strip())
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
