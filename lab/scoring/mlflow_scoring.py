"""The scoring script of an MLflow model that was deployed without one, as the service makes one up for it.

It runs in the model's own environment, without anything of the lab's, on Python 3.8 and later. It keeps to Microsoft's
page on MLflow models in batch deployments and, for what that leaves open, does as the customised copy of the service's
script in azureml-examples (cli/foundation-models) does: readers by file extension, types from the model's signature,
one predict() for each file, an exception for the whole mini-batch when one file cannot be scored.

run() gives a DataFrame with the prediction's columns and then the file's name; its index is the row in that file.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Any

import numpy as np
import pandas as pd

TABLES = (".csv", ".parquet", ".pqt")
IMAGES = (".png", ".jpg", ".jpeg", ".tiff", ".bmp", ".gif")

log = logging.getLogger("azureml")
_loaded: dict[str, Any] = {}


def init() -> None:
    """Loads the model, which is the one folder in AZUREML_MODEL_DIR."""
    import mlflow.pyfunc

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    home = os.environ["AZUREML_MODEL_DIR"]
    (folder,) = os.listdir(home)  # noqa: PTH208
    model = mlflow.pyfunc.load_model(os.path.join(home, folder))  # noqa: PTH118
    _loaded["model"] = model
    _loaded["schema"] = model.metadata.get_input_schema()
    if _loaded["schema"] is None:
        log.warning("The model has no signature: types of columns and arrays are inferred.")


def run(mini_batch: list[str]) -> pd.DataFrame:
    frames: list[pd.DataFrame] = []
    errors: dict[str, str] = {}
    for path in mini_batch:
        name = os.path.basename(path)  # noqa: PTH119
        try:
            frames.append(rows(_loaded["model"].predict(load(path, _loaded["schema"])), name))
        except Exception as error:  # noqa: BLE001 - a model may raise anything; it is raised again for the mini-batch
            log.error("Error processing input file: '%s'. Exception:%s", path, error)
            log.error(traceback.format_exc())
            errors[name] = f"{type(error).__name__}: {error}"
    if errors:
        record = "\n".join(f"{name}:\n{error}" for name, error in errors.items())
        raise RuntimeError(f"Not all input files were processed successfully. Record of errors by filename:\n{record}")
    scored: pd.DataFrame = pd.concat(frames)
    return scored


def load(path: str, schema: Any) -> Any:
    """The file as the model's input. Raises ValueError for a kind of file that is not supported."""
    suffix = os.path.splitext(path)[1]  # noqa: PTH122
    if suffix == ".csv":
        return _csv(path, schema)
    if suffix in TABLES:
        return pd.read_parquet(path)
    if suffix in IMAGES:
        return _image(path, schema)
    raise ValueError(f"File type '{suffix}' is not supported. Current accepted filetypes are: {[*TABLES, *IMAGES]}")


def rows(output: Any, file: str) -> pd.DataFrame:
    """What predict() gave for a file, a row for each prediction, the file's name in the last column."""
    frame: pd.DataFrame
    if isinstance(output, pd.DataFrame):
        frame = output.reset_index(drop=True)
    elif isinstance(output, pd.Series):
        frame = output.reset_index(drop=True).to_frame()
    elif isinstance(output, dict):
        listed = {key: _listed(value) for key, value in output.items()}
        scalars = not any(isinstance(value, list) for value in listed.values())
        frame = pd.DataFrame(listed, index=[0] if scalars else None)
    elif isinstance(output, np.ndarray) and output.ndim in (1, 2):
        frame = pd.DataFrame(output)
    elif isinstance(output, (np.ndarray, list, tuple)) and np.ndim(output) != 0:
        values = [_listed(each) for each in output]
        frame = pd.DataFrame(values) if values and isinstance(values[0], dict) else pd.DataFrame({"prediction": values})
    else:
        frame = pd.DataFrame({"prediction": [_listed(output)]})
    frame.insert(len(frame.columns), "_azureml_filename", file, allow_duplicates=True)
    return frame


def _listed(value: Any) -> Any:
    """Arrays inside a prediction as lists, which a CSV file can show."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def _csv(path: str, schema: Any) -> Any:
    if schema is None:
        return pd.read_csv(path)
    if schema.is_tensor_spec():
        (spec,) = schema.inputs
        return np.genfromtxt(path, dtype=spec.type, delimiter=",").reshape(spec.shape)
    types = dict(zip(schema.input_names(), schema.pandas_types()))  # noqa: B905 - Python 3.8 knows no `strict`
    dates = [name for name, kind in types.items() if np.dtype(kind).kind == "M"]
    head = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype={name: kind for name, kind in types.items() if name not in dates},
        parse_dates=[name for name in dates if name in head],
    )


def _image(path: str, schema: Any) -> Any:
    if schema is not None and not schema.is_tensor_spec():
        kinds = schema.input_types()
        if len(kinds) != 1 or str(kinds[0]) not in ("binary", "DataType.binary"):
            raise TypeError(
                "Scoring image files with a ColSpec signature takes one column of type 'binary'; "
                f"this signature has {len(kinds)} inputs of types: {kinds}."
            )
        with open(path, "rb") as file:  # noqa: PTH123
            return pd.DataFrame({schema.input_names()[0]: [file.read()]})
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.array(image)
    if schema is None:
        return pixels.astype(np.uint8).reshape((1, *pixels.shape))
    (spec,) = schema.inputs
    if spec.shape == (-1,):  # images of different sizes, each an array of its own
        batch = np.empty(1, dtype=spec.type)
        batch[0] = pixels
        return batch
    return pixels.astype(spec.type).reshape(spec.shape)
