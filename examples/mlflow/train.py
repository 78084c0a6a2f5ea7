# /// script
# requires-python = ">=3.10"
# dependencies = ["mlflow-skinny==3.17.2", "numpy>=2.2.6,<3", "pandas==2.3.3"]
# ///
"""Trains the model in `model/` and writes the readings in `readings/`; the same files each time.

    .venv/bin/uv run examples/mlflow/train.py

The machines are made up: those that run hot, shake and were not serviced for long fail more often. What is learned is
the logistic regression that fits 2,000 of them best; 200 others become the readings to score.
"""

import json
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

HERE = Path(__file__).resolve().parent
SEED, LEARNED, SCORED, FILES = 20261123, 2000, 200, 4


def main() -> None:
    # Before the import, which reads it: nothing is told to anybody, nothing is tracked.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    sys.path.insert(0, str(HERE))
    from machines import READINGS, Machines  # type: ignore[import-not-found,unused-ignore]

    readings, failed = machines(LEARNED + SCORED)
    weights = learned(readings[:LEARNED], failed[:LEARNED])
    table = pd.DataFrame(readings, columns=list(READINGS)).round(2)
    names = dict(zip(("bias", *READINGS), (round(float(each), 6) for each in weights), strict=True))
    model = Machines(names)

    shutil.rmtree(HERE / "model", ignore_errors=True)
    with TemporaryDirectory() as folder:
        data = Path(folder, "weights.json")
        data.write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
        mlflow.pyfunc.save_model(
            HERE / "model",
            loader_module="machines",
            data_path=str(data),
            code_paths=[str(HERE / "machines.py")],
            signature=ModelSignature(
                Schema([ColSpec(DataType.double, name) for name in READINGS]),
                Schema([ColSpec(DataType.long, "fails"), ColSpec(DataType.double, "chance")]),
            ),
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow-skinny", "pandas")] + ["numpy>=2.2.6,<3"],
        )
    settle(HERE / "model")

    shutil.rmtree(HERE / "readings", ignore_errors=True)
    (HERE / "readings").mkdir()
    for number, part in enumerate(np.array_split(np.arange(LEARNED, LEARNED + SCORED), FILES), start=1):
        table.iloc[part].to_csv(HERE / "readings" / f"hall-{number}.csv", index=False)
    right = (model.predict(table[LEARNED:])["fails"].to_numpy() == failed[LEARNED:]).mean()
    sys.stdout.write(f"{right:.1%} of {SCORED} machines right\n")


def machines(count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Readings, shape (count, 3), and whether each machine failed."""
    random = np.random.default_rng(SEED)
    readings = np.column_stack(
        [random.normal(60, 12, count), random.gamma(2, 1.5, count), random.uniform(0, 4000, count)]
    )
    strain = 0.12 * (readings[:, 0] - 60) + 0.7 * (readings[:, 1] - 3) + 0.001 * (readings[:, 2] - 2000) - 1
    return readings, (random.random(count) < 1 / (1 + np.exp(-strain))).astype(np.int64)


def learned(readings: npt.NDArray[np.float64], failed: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Bias and weights of the logistic regression that fits best, by Newton's method on scaled readings."""
    mean, spread = readings.mean(axis=0), readings.std(axis=0)
    inputs = np.column_stack([np.ones(len(readings)), (readings - mean) / spread])
    weights = np.zeros(inputs.shape[1])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs
        weights += np.linalg.solve(curvature, inputs.T @ (failed - chance))
    slopes = weights[1:] / spread
    return np.array([weights[0] - slopes @ mean, *slopes])


def settle(model: Path) -> None:
    """Take out what differs each time, the time and a random id: the same content is to be the same deployment."""
    file = model / "MLmodel"
    description = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name in ("model_id", "model_uuid", "run_id", "utc_time_created", "artifact_path"):
        description.pop(name, None)
    file.write_text(yaml.safe_dump(description), encoding="utf-8")
    for cache in model.rglob("__pycache__"):
        shutil.rmtree(cache)


main()
