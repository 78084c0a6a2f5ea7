"""The model as MLflow loads it: how likely a machine is to fail within a week, from its readings.

MLflow calls `_load_pyfunc` with the path of the weights; what that returns has a `predict`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

READINGS = ("temperature", "vibration", "hours")
"""Degrees Celsius, millimetres per second, hours since the last service."""


class Machines:
    def __init__(self, weights: dict[str, float]) -> None:
        self._bias = weights["bias"]
        self._weights = np.array([weights[name] for name in READINGS])

    def predict(self, readings: pd.DataFrame) -> pd.DataFrame:
        """One row for each machine: `fails` (0 or 1) and `chance` (0 to 1, four decimals)."""
        chance = 1 / (1 + np.exp(-(readings[list(READINGS)].to_numpy() @ self._weights + self._bias)))
        rows: pd.DataFrame = pd.DataFrame({"fails": (chance > 0.5).astype(int), "chance": chance.round(4)})
        return rows


def _load_pyfunc(path: str) -> Machines:
    return Machines(json.loads(Path(path).read_text(encoding="utf-8")))
