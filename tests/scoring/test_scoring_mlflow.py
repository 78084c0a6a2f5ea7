"""MLflow models without a scoring script: what their files ask for, how files are read, what is written."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from lab.home import home_from
from lab.scoring.environment import CachedEnvironments
from lab.scoring.mlflow_model import MlflowModel, MlflowModelError, environment_of, read_mlflow_model
from lab.scoring.mlflow_scoring import load, rows
from tests.scoring.job_bench import FolderBlobs, JobBench, Outcome

EXAMPLE = Path(__file__).parents[2] / "examples" / "mlflow"


@pytest.fixture
def bench(tmp_path: Path) -> JobBench:
    """Jobs in environments that are built once and kept with the lab's other installations."""
    environments = CachedEnvironments(home_from(os.environ).cache, os.environ)
    return JobBench(tmp_path / "job", FolderBlobs(tmp_path / "blobs"), environments=environments)


def score(bench: JobBench, files: dict[str, str], **settings: Any) -> Outcome:
    """The example's model, on these files."""
    for path in (EXAMPLE / "model").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            bench.blobs.put("data", f"uploads/machines/{path.relative_to(EXAMPLE / 'model')}", path.read_bytes())

    def mlflow(document: dict[str, Any]) -> None:
        document.update(code=None, environment=None)
        document["model"].update(type="mlflow_model", name="machines", path="uploads/machines")

    return reached(bench.run(None, files=files, change=mlflow, timeout_seconds=120, **settings))


def reached(outcome: Outcome) -> Outcome:
    """Skips where the machine's package index cannot be reached."""
    if outcome.status == "Failed" and "cannot be reached (no network?)" in outcome.message:
        pytest.skip(outcome.message)
    return outcome


def test_a_model_scores_in_its_own_environment_a_row_for_each_row_of_each_file(bench: JobBench) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted((EXAMPLE / "readings").iterdir())}

    outcome = score(bench, {**files, "nested/more.csv": "not looked at"}, mini_batch_size=3)

    assert outcome.status == "Completed", outcome.document["error"]
    found = pd.read_csv(bench.blobs.root / "data/azureml/batchjob-1/score/predictions.csv", header=None)
    assert found[3].tolist() == [name for name in files for _ in range(50)]
    assert found[0].tolist() == [*range(50)] * 4
    assert set(found[1]) == {0, 1}
    assert ((found[2] > 0.5) == (found[1] == 1)).all()
    assert outcome.document["items"] == {"total": 4, "succeeded": 200, "failed": 0}
    log = outcome.log("user_logs/std_log_0.txt")
    assert "environment of model machines:1: " in log
    assert "input: 1 files in nested folders are left out, as for every MLflow model" in log


def test_a_file_that_cannot_be_read_fails_its_mini_batch_with_the_services_words(bench: JobBench) -> None:
    good = "temperature,vibration,hours\n60,2,100\n"
    files = {"a.csv": good, "b.avro": "x", "c.csv": "temperature,vibration,hours\nhot,2,100\n", "d.csv": good}

    outcome = score(bench, files, mini_batch_size=3, max_retries=1)

    assert outcome.document["items"] == {"total": 4, "succeeded": 1, "failed": 3}
    assert [row.rpartition(",")[2] for row in outcome.rows()] == ["d.csv"]
    error = outcome.log("logs/user/error/0/process000.txt")
    assert "Not all input files were processed successfully. Record of errors by filename:\nb.avro:\n" in error
    printed = outcome.log("logs/user/stdout/0/process000.stdout.txt")
    assert "ERROR:azureml:Error processing input file: '" in printed
    assert "Exception:File type '.avro' is not supported. Current accepted filetypes are: ['.csv', " in printed
    assert "/c.csv'. Exception:could not convert string to float: 'hot'" in printed


def test_what_a_script_logs_by_mlflow_is_among_the_logs(bench: JobBench) -> None:
    script = """
import mlflow
def init():
    mlflow.log_param("model", "digits")
def run(files):
    mlflow.log_metric("files", len(files))
    return files
"""

    def with_mlflow(document: dict[str, Any]) -> None:
        document["environment"]["conda_file"] = (EXAMPLE / "model" / "conda.yaml").read_text(encoding="utf-8")

    outcome = reached(bench.run(script, change=with_mlflow, timeout_seconds=120))

    assert outcome.status == "Completed", outcome.document["error"]
    kept = {name: blob["path"] for name, blob in outcome.document["logs"].items() if "mlruns/0-000/" in name}
    (metric,) = [path for name, path in kept.items() if name.endswith("/metrics/files")]
    assert [line.split()[1] for line in bench.blobs.text("azureml", metric).splitlines()] == ["2.0", "1.0"]
    assert any(name.endswith("/params/model") for name in kept)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"weights.json": "{}"}, "model digits:1: there is no file MLmodel in the model's folder model"),
        ({"MLmodel": "flavors: {sklearn: {}}"}, "MLmodel has no flavor python_function (flavors: sklearn)"),
        ({"MLmodel": "- a"}, "MLmodel must be a mapping"),
        ({"MLmodel": "{"}, "MLmodel is no YAML: "),
        (
            {"MLmodel": "flavors: {python_function: {env: conda.yaml}}"},
            "there is no file conda.yaml in the model's folder model",
        ),
    ],
    ids=["no MLmodel", "another flavor", "a list", "no YAML", "no conda file"],
)
def test_a_model_that_cannot_be_scored_without_a_script_is_told_by_its_file(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    bench = JobBench(tmp_path / "job", FolderBlobs(tmp_path / "blobs"))
    for name, text in files.items():
        bench.blobs.put("data", f"uploads/other/model/{name}", text)

    def mlflow(document: dict[str, Any]) -> None:
        document.update(code=None, environment=None)
        document["model"].update(type="MLFlowModel", path="uploads/other/model")

    outcome = bench.run(None, change=mlflow)

    assert outcome.status == "Failed"
    assert told in outcome.message


def write_model(folder: Path, env: object, files: dict[str, str]) -> MlflowModel:
    described = {"flavors": {"python_function": {"env": env}}, "mlflow_version": "2.9.2"}
    for name, text in {**files, "MLmodel": json.dumps(described)}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_mlflow_model(folder)


CONDA = "dependencies: [python=3.10, pip, {pip: [mlflow==2.9.2, scikit-learn==1.3]}]"
VIRTUALENV = "python: 3.9.1\ndependencies: [-r requirements.txt]"


@pytest.mark.parametrize(
    ("env", "files", "dependencies", "pip"),
    [
        ("conda.yaml", {"conda.yaml": CONDA}, ["python=3.10", "pip"], ["mlflow==2.9.2", "scikit-learn==1.3", "pandas"]),
        ({"conda": "c.yaml", "virtualenv": "p.yaml"}, {"c.yaml": "dependencies: []"}, [], ["mlflow-skinny==2.9.2"]),
        (
            {"virtualenv": "python_env.yaml"},
            {"python_env.yaml": VIRTUALENV, "requirements.txt": "Pandas==2.2\n\nmlflow-skinny\n"},
            ["python=3.9.1"],
            ["Pandas==2.2", "mlflow-skinny"],
        ),
        (None, {}, [], ["mlflow-skinny==2.9.2", "pandas"]),
    ],
    ids=["a conda file", "both", "a virtualenv", "nothing"],
)
def test_the_environment_is_the_models_own_and_what_reading_takes(
    tmp_path: Path, env: object, files: dict[str, str], dependencies: list[str], pip: list[str]
) -> None:
    model = write_model(tmp_path, env, files)

    environment = environment_of(model, "heart", "3", ["a.csv"])

    *found, last = json.loads(str(environment.conda_file))["dependencies"]
    assert str(environment) == "of model heart:3"
    assert found == dependencies
    assert last["pip"][: len(pip)] == pip


@pytest.mark.parametrize(
    ("files", "readers"),
    [(["a.csv"], []), (["a.csv", "b.pqt"], ["pyarrow"]), (["a.PNG", "b.gif"], ["pillow"])],
    ids=["tables", "parquet", "images"],
)
def test_readers_are_added_for_the_files_that_there_are(files: Sequence[str], readers: list[str]) -> None:
    model = MlflowModel("2.9.2", None, ("pip", {"pip": ["mlflow", "pandas"]}))

    environment = environment_of(model, "heart", "3", files)

    assert json.loads(str(environment.conda_file))["dependencies"][-1] == {"pip": ["mlflow", "pandas", *readers]}


def test_a_version_that_was_never_released_is_not_asked_for() -> None:
    environment = environment_of(MlflowModel("2.9.0.dev0", None, ()), "heart", "3", [])

    assert json.loads(str(environment.conda_file))["dependencies"] == [{"pip": ["mlflow-skinny", "pandas"]}]


def test_a_conda_file_without_dependencies_is_told(tmp_path: Path) -> None:
    with pytest.raises(MlflowModelError, match=r"conda\.yaml, which MLmodel names, has no list of dependencies"):
        write_model(tmp_path, "conda.yaml", {"conda.yaml": "name: x"})


@dataclass(frozen=True)
class Spec:
    """A tensor of mlflow.types, as far as the script asks."""

    type: Any
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """A Schema of mlflow.types, as far as the script asks."""

    columns: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Spec, ...] = ()

    def is_tensor_spec(self) -> bool:
        return bool(self.inputs)

    def input_names(self) -> list[str]:
        return list(self.columns)

    def pandas_types(self) -> list[Any]:
        return [np.dtype("O") if kind == "binary" else np.dtype(kind) for kind in self.columns.values()]

    def input_types(self) -> list[Any]:
        return list(self.columns.values())


def tensor(kind: str, *shape: int) -> Signature:
    return Signature(inputs=(Spec(np.dtype(kind), shape),))


TABLE = "a,when\n1,2026-01-02\n"


@pytest.mark.parametrize(
    ("text", "schema", "types"),
    [
        (TABLE, None, {"a": "int64", "when": str(pd.Series(["x"]).dtype)}),
        (TABLE, Signature({"a": "float32", "when": "datetime64[ns]"}), {"a": "float32", "when": "datetime64"}),
        (TABLE, Signature({"a": "float32", "absent": "datetime64[ns]"}), {"a": "float32"}),
    ],
    ids=["no signature", "signature", "an absent column"],
)
def test_a_csv_file_has_the_types_of_the_signature(
    tmp_path: Path, text: str, schema: Signature | None, types: dict[str, str]
) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")

    found = load(str(tmp_path / "t.csv"), schema)

    assert {name: str(found[name].dtype)[: len(kind)] for name, kind in types.items()} == types


def test_a_csv_file_is_an_array_for_a_model_that_takes_tensors(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2\n3,4\n", encoding="utf-8")

    assert load(str(tmp_path / "t.csv"), tensor("float32", -1, 2)).tolist() == [[1, 2], [3, 4]]


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(tmp_path / "i.png")
    return str(tmp_path / "i.png")


@pytest.mark.parametrize(
    ("schema", "kind", "shape"),
    [
        (None, "uint8", (1, 2, 3)),
        (tensor("float32", -1, 2, 3), "float32", (1, 2, 3)),
        (tensor("float32", -1, 6), "float32", (1, 6)),
        (tensor("object", -1), "object", (1,)),
    ],
    ids=["no signature", "tensor", "reshaped", "sizes of their own"],
)
def test_an_image_is_an_array_as_the_signature_wants_it(
    image: str, schema: Signature | None, kind: str, shape: tuple[int, ...]
) -> None:
    found: npt.NDArray[Any] = load(image, schema)

    assert (str(found.dtype), found.shape) == (kind, shape)


def test_an_image_is_its_bytes_for_a_model_that_takes_one_binary_column(image: str) -> None:
    found = load(image, Signature({"picture": "binary"}))

    assert found["picture"].tolist() == [Path(image).read_bytes()]


@pytest.mark.parametrize("columns", [{"a": "float64"}, {"a": "binary", "b": "binary"}], ids=["a number", "two"])
def test_other_signatures_take_no_images(image: str, columns: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="takes one column of type 'binary'"):
        load(image, Signature(columns))


def test_a_parquet_file_is_read_as_pandas_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def table(path: str) -> pd.DataFrame:
        read: pd.DataFrame = pd.DataFrame({"path": [path]})
        return read

    monkeypatch.setattr(pd, "read_parquet", table)  # pyarrow is in the model's environment, not here

    assert load("x.pqt", None)["path"].tolist() == ["x.pqt"]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[7, 8]), "0,1,3,f\n1,2,4,f\n"),
        (pd.Series([0.5, 1.5]), "0,0.5,f\n1,1.5,f\n"),
        (np.array([0, 1]), "0,0,f\n1,1,f\n"),
        (np.array([[0.1, 0.9]]), "0,0.1,0.9,f\n"),
        (np.zeros((1, 1, 2)), '0,"[[0.0, 0.0]]",f\n'),
        ({"label": ["x", "y"], "p": np.array([1.0, 2.0])}, "0,x,1.0,f\n1,y,2.0,f\n"),
        ({"label": "x"}, "0,x,f\n"),
        (["x", "y"], "0,x,f\n1,y,f\n"),
        ([{"label": "x", "p": 1}], "0,x,1,f\n"),
        ([], ""),
        ("text", "0,text,f\n"),
    ],
    ids=[
        *("DataFrame", "Series", "vector", "matrix", "tensor", "dict of columns", "dict of values", "list"),
        *("list of dicts", "nothing", "text"),
    ],
)
def test_predictions_become_rows_with_the_files_name_last(output: Any, text: str) -> None:
    assert rows(output, "f").to_csv(header=False) == text
