"""Batch scoring script: says which digit each image shows.

Azure Machine Learning calls `init()` once per worker process and `run(mini_batch)` once per mini-batch with the paths
of its files. Each image gives one row `file digit confidence`, which the service appends to the output file separated
by spaces and without a header:

    0130-label-4.png 4 0.9987

A file that is not a readable image gives no row, and a line in the log with its name and the reason. The service
counts it as failed (files in the mini-batch less rows returned), so that the deployment's `error_threshold` decides.
Anything wrong with the model itself raises.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

log = logging.getLogger("score")

SHAPES = {"hidden_weight": (64, -1), "hidden_bias": (-1,), "output_weight": (-1, 10), "output_bias": (10,)}
"""Arrays of the model file; -1 stands for the number of hidden units."""

_weights: dict[str, npt.NDArray[np.float32]] = {}


def init() -> None:
    """Reads `$AZUREML_MODEL_DIR/model/digits.npz`: the registered folder `model` lies inside that directory."""
    path = Path(os.environ["AZUREML_MODEL_DIR"]) / "model" / "digits.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there; register the folder that holds digits.npz under the name 'model'")
    with np.load(path, allow_pickle=False) as arrays:
        _weights.update({name: arrays[name] for name in SHAPES})
    for name, shape in SHAPES.items():
        found = _weights[name].shape
        if len(found) != len(shape) or any(want not in (-1, got) for want, got in zip(shape, found, strict=True)):
            raise ValueError(f"{path}: {name} has shape {found}, not {shape}")


def run(mini_batch: Sequence[str]) -> pd.DataFrame:
    """One row per readable image, in the order given.

    Columns: `file` (name without folders), `digit` (0 to 9), `confidence` (softmax probability of that digit, 0 to 1,
    four decimals).
    """
    names: list[str] = []
    inputs: list[npt.NDArray[np.float32]] = []
    for path in map(Path, mini_batch):
        try:
            inputs.append(pixels(path))
        # SyntaxError is what Pillow raises for a PNG file with a damaged chunk.
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            log.error("%s: not scored: %s", path.name, error)
        else:
            names.append(path.name)
    probabilities = classify(np.stack(inputs) if inputs else np.empty((0, 64), np.float32))
    rows: pd.DataFrame = pd.DataFrame(
        {
            "file": pd.Series(names, dtype="str"),
            "digit": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1).astype(np.float64).round(4),
        }
    )
    return rows


def pixels(path: Path) -> npt.NDArray[np.float32]:
    """The image as the 64 inputs of the model: 8x8 grey levels, 0 (paper) to 1 (ink); other sizes are scaled down."""
    with Image.open(path) as image:
        grey = image.convert("L")
    if grey.size != (8, 8):
        grey = grey.resize((8, 8), Image.Resampling.BOX)
    shades: npt.NDArray[np.float32] = np.asarray(grey, dtype=np.float32).reshape(64) / np.float32(255)
    return shades


def classify(inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probability of each digit: shape (n, 64) to shape (n, 10)."""
    hidden = np.tanh(inputs @ _weights["hidden_weight"] + _weights["hidden_bias"])
    logits = hidden @ _weights["output_weight"] + _weights["output_bias"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    result: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return result
