"""Trains the digit classifier and writes what the example deploys: `model/digits.npz` and `images/*.png`.

    python examples/digits/train.py

The data set is the one bundled with scikit-learn (`sklearn.datasets.load_digits`: 1,797 images of 8x8 pixels, UCI's
"Optical Recognition of Handwritten Digits"). Every tenth image is held out: it is written to `images/` and never seen
in training. Training is full-batch gradient descent in double precision from seeded weights, without early stopping, so
that a second run gives the same weights up to the rounding of the machine's linear algebra.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
HELD_OUT_EVERY = 10
"""Images number 0, 10, 20, ... of the data set are held out: 180 of 1,797."""
SEED = 20
HIDDEN_UNITS = 48
STEPS = 600
LEARNING_RATE = 0.25
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4

Floats = npt.NDArray[np.float64]


class Digits(NamedTuple):
    """A part of the data set."""

    number: npt.NDArray[np.int64]
    """Position in the whole data set, shape (n,)."""
    pixels: npt.NDArray[np.uint8]
    """Grey levels 0 (paper) to 255 (ink), shape (n, 8, 8)."""
    label: npt.NDArray[np.int64]
    """The digit that was meant, 0 to 9, shape (n,)."""


def dataset() -> tuple[Digits, Digits]:
    """The data set as (training part, held-out part); the source's 17 grey levels are spread over one byte."""
    source = load_digits()
    pixels = np.rint(source.images * (255 / 16)).astype(np.uint8)
    number = np.arange(len(pixels))
    held_out = number % HELD_OUT_EVERY == 0
    parts = [Digits(number[part], pixels[part], source.target[part]) for part in (~held_out, held_out)]
    return parts[0], parts[1]


def train(digits: Digits) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of a network with one hidden layer: 64 inputs, tanh units, 10 softmax outputs.

    Keys: `hidden_weight` (64, HIDDEN_UNITS), `hidden_bias`, `output_weight` (HIDDEN_UNITS, 10), `output_bias`.
    tanh, not a kinked unit, keeps small rounding differences small over all steps.
    """
    inputs: Floats = digits.pixels.reshape(-1, 64) / 255.0
    targets: Floats = np.eye(10)[digits.label]
    draw = np.random.default_rng(SEED).standard_normal
    weights: dict[str, Floats] = {
        "hidden_weight": draw((64, HIDDEN_UNITS)) / 8,
        "hidden_bias": np.zeros(HIDDEN_UNITS),
        "output_weight": draw((HIDDEN_UNITS, 10)) / np.sqrt(HIDDEN_UNITS),
        "output_bias": np.zeros(10),
    }
    velocity = {name: np.zeros_like(value) for name, value in weights.items()}
    for _ in range(STEPS):
        hidden = np.tanh(inputs @ weights["hidden_weight"] + weights["hidden_bias"])
        logits = hidden @ weights["output_weight"] + weights["output_bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (powers / powers.sum(axis=1, keepdims=True) - targets) / len(inputs)
        hidden_error = (error @ weights["output_weight"].T) * (1 - hidden**2)
        slopes = {
            "hidden_weight": inputs.T @ hidden_error + WEIGHT_DECAY * weights["hidden_weight"],
            "hidden_bias": hidden_error.sum(axis=0),
            "output_weight": hidden.T @ error + WEIGHT_DECAY * weights["output_weight"],
            "output_bias": error.sum(axis=0),
        }
        for name, slope in slopes.items():
            velocity[name] = MOMENTUM * velocity[name] - LEARNING_RATE * slope
            weights[name] += velocity[name]
    return {name: value.astype(np.float32) for name, value in weights.items()}


def image_name(number: int, label: int) -> str:
    """File name of a held-out image: `0130-label-4.png` is number 130 of the data set and shows a four."""
    return f"{number:04d}-label-{label}.png"


def write_model(path: Path, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Writes plain arrays, readable with `allow_pickle=False`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **weights)


def write_images(folder: Path, digits: Digits) -> None:
    """Writes one 8x8 greyscale PNG per image and removes PNG files of earlier runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*-label-*.png"):
        stale.unlink()
    for number, pixels, label in zip(*digits, strict=True):
        Image.fromarray(pixels).save(folder / image_name(int(number), int(label)), optimize=True)


def main() -> None:
    training, held_out = dataset()
    write_model(HERE / "model" / "digits.npz", train(training))
    write_images(HERE / "images", held_out)
    sys.stdout.write(f"trained on {len(training.label)} images, held out {len(held_out.label)}\n")


if __name__ == "__main__":
    main()
