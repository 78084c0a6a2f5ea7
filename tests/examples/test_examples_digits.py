"""The digits example: training gives the committed files, the script scores them, the check judges the result."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from examples.digits import train

DIGITS = Path(train.__file__).parent
IMAGES = sorted((DIGITS / "images").glob("*.png"))


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The scoring script as a worker process has it: imported from its file, after `init()`."""
    spec = importlib.util.spec_from_file_location("score", DIGITS / "code" / "score.py")
    assert spec is not None and spec.loader is not None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the folder is what a deployment uploads
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(DIGITS))
    module.init()
    yield module


def check(predictions: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(DIGITS / "check.py"), str(predictions)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def predictions(folder: Path, right: int, wrong: int) -> Path:
    rows = [f"{number:04d}-label-3.png {3 if number < right else 5} 0.9" for number in range(right + wrong)]
    (folder / "predictions.csv").write_text("\n".join(rows) + "\n")
    return folder / "predictions.csv"


def test_training_again_gives_the_committed_weights() -> None:
    training, _ = train.dataset()

    again = train.train(training)

    with np.load(DIGITS / "model" / "digits.npz", allow_pickle=False) as committed:
        assert set(committed.files) == set(again)
        for name, value in again.items():
            np.testing.assert_allclose(value, committed[name], rtol=1e-3, atol=1e-4)


def test_the_committed_images_are_the_held_out_part() -> None:
    training, held_out = train.dataset()
    names = [train.image_name(number, label) for number, label in zip(held_out.number, held_out.label, strict=True)]

    assert [path.name for path in IMAGES] == names
    assert not set(training.number) & set(held_out.number)
    for path, pixels in zip(IMAGES, held_out.pixels, strict=True):
        with Image.open(path) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), pixels)


def test_written_images_replace_those_of_an_earlier_run(tmp_path: Path) -> None:
    _, held_out = train.dataset()
    (tmp_path / "9999-label-1.png").write_bytes(b"stale")

    train.write_images(tmp_path, held_out)

    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in IMAGES]


def test_the_script_scores_every_held_out_image_and_most_rightly(score: ModuleType, tmp_path: Path) -> None:
    rows = score.run([str(path) for path in IMAGES])
    rows.to_csv(tmp_path / "predictions.csv", sep=" ", header=False, index=False)

    judged = check(tmp_path / "predictions.csv")

    assert list(rows.columns) == ["file", "digit", "confidence"]
    assert list(rows["file"]) == [path.name for path in IMAGES]
    labels = [int(path.stem[-1]) for path in IMAGES]
    assert float(np.mean(np.array(labels) == rows["digit"].to_numpy())) >= 0.94
    assert judged.returncode == 0, judged.stderr
    assert f" of {len(IMAGES)} correct (" in judged.stdout.splitlines()[-1]


def test_the_rows_do_not_depend_on_the_size_of_the_mini_batch(score: ModuleType) -> None:
    paths = [str(path) for path in IMAGES[:7]]

    together = score.run(paths)

    singly = [score.run([path]).iloc[0].tolist() for path in paths]
    assert singly == together.to_numpy().tolist()


def test_a_larger_image_is_scaled_down(score: ModuleType, tmp_path: Path) -> None:
    with Image.open(IMAGES[0]) as image:
        image.resize((64, 64), Image.Resampling.NEAREST).convert("RGB").save(tmp_path / IMAGES[0].name)

    rows = score.run([str(IMAGES[0]), str(tmp_path / IMAGES[0].name)])

    assert rows["digit"][0] == rows["digit"][1]


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", IMAGES[0].read_bytes()[:60], IMAGES[0].read_bytes()[:30] + b"\0" * 40],
    ids=["empty", "text", "truncated", "damaged"],
)
def test_an_unreadable_file_gives_no_row_and_a_line_in_the_log(
    score: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "broken.png").write_bytes(content)

    rows = score.run([str(tmp_path / "broken.png"), str(IMAGES[1])])

    assert list(rows["file"]) == [IMAGES[1].name]
    assert "broken.png: not scored" in caplog.text


def test_only_unreadable_files_give_no_row_at_all(score: ModuleType, tmp_path: Path) -> None:
    rows = score.run([str(tmp_path / "absent.png")])

    assert len(rows) == 0
    assert list(rows.columns) == ["file", "digit", "confidence"]


def test_a_missing_model_is_named(score: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))

    with pytest.raises(FileNotFoundError, match="register the folder that holds"):
        score.init()


def test_a_model_of_another_shape_is_named(score: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shapes = {"hidden_weight": (64, 4), "hidden_bias": (4,), "output_weight": (4, 9), "output_bias": (10,)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    train.write_model(tmp_path / "model" / "digits.npz", arrays)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))

    with pytest.raises(ValueError, match="output_weight has shape"):
        score.init()


@pytest.mark.parametrize(
    ("right", "wrong", "code", "last"),
    [
        (180, 0, 0, "digits: 180 of 180 correct (100.0 %)"),
        (9, 1, 0, "digits: 9 of 10 correct (90.0 %)"),
        (89, 11, 1, "digits: 89 of 100 correct (89.0 %)"),
        (0, 3, 1, "digits: 0 of 3 correct (0.0 %)"),
    ],
)
def test_the_check_counts_and_judges(tmp_path: Path, right: int, wrong: int, code: int, last: str) -> None:
    judged = check(predictions(tmp_path, right, wrong))

    assert judged.stdout.splitlines()[-1] == last
    assert judged.returncode == code
    assert ("fewer than the 90%" in judged.stderr) == (code == 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no predictions"),
        ("\n\n", "holds no predictions"),
        ("0010-label-0.png 0\n", "line 1: expected `file digit confidence`"),
        ("0010-label-0.png,0,0.9\n", "line 1: expected `file digit confidence`"),
        ("0010-label-0.png 0 0.9\nseven.png 7 0.9\n", "line 2: no label in the file name 'seven.png'"),
        ("0010-label-0.png 12 0.9\n", "expected a digit from 0 to 9, got '12'"),
        ("0010-label-0.png 0 high\n", "expected a confidence from 0 to 1, got 'high'"),
        ("0010-label-0.png 0 nan\n", "expected a confidence from 0 to 1, got 'nan'"),
        ("0010-label-0.png 0 0.9\n0010-label-0.png 6 0.9\n", "appears twice, with different digits"),
        ("\x89PNG\x00\xff 1 2\n", "codec can't decode"),
    ],
    ids=["empty", "blank", "short", "commas", "no-label", "digit", "confidence", "nan", "contradiction", "binary"],
)
def test_the_check_refuses_what_it_cannot_read(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "predictions.csv").write_bytes(content.encode("latin-1"))

    judged = check(tmp_path / "predictions.csv")

    assert judged.returncode == 1
    assert said in judged.stderr
    assert "Traceback" not in judged.stderr


def test_the_check_says_when_there_is_no_such_file(tmp_path: Path) -> None:
    judged = check(tmp_path / "nothing.csv")

    assert judged.returncode == 1
    assert "nothing.csv" in judged.stderr


def test_a_repeated_row_counts_once(tmp_path: Path) -> None:
    path = predictions(tmp_path, 5, 0)
    path.write_text(path.read_text() * 2)

    assert check(path).stdout.splitlines()[-1] == "digits: 5 of 5 correct (100.0 %)"
