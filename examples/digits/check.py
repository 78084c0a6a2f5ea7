"""Compares the predictions of a scoring job with the labels in the file names.

    python check.py PREDICTIONS_FILE

Each row reads `file digit confidence`, separated by spaces; `0130-label-4.png` shows a four. Prints a sample of the
predictions, wrong ones first, then `digits: N of M correct (P %)` as its last line. Exits 1, with the reason on
stderr, if a row cannot be read, a file appears twice with different digits, there is no row, or fewer than 90 % are
correct. Needs the standard library only.
"""

import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

REQUIRED = 0.90
"""Share of correct predictions below which the check fails."""
SAMPLE_ROWS = 8
LABEL = re.compile(r".*-label-([0-9])\.png")


class Prediction(NamedTuple):
    file: str
    label: int
    digit: int
    confidence: float


def read_row(row: list[str], where: str) -> Prediction:
    """One prediction; raises ValueError naming `where` and what is wrong."""
    if len(row) != 3:
        raise ValueError(f"{where}: expected `file digit confidence`, got {' '.join(row)!r}")
    file, digit, confidence = row
    label = LABEL.fullmatch(file)
    if label is None:
        raise ValueError(f"{where}: no label in the file name {file!r}; expected a name like 0130-label-4.png")
    if re.fullmatch("[0-9]", digit) is None:
        raise ValueError(f"{where}: expected a digit from 0 to 9, got {digit!r}")
    try:
        share = float(confidence)
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise ValueError(f"{where}: expected a confidence from 0 to 1, got {confidence!r}")
    return Prediction(file, int(label[1]), int(digit), share)


def read_predictions(path: Path) -> list[Prediction]:
    """All predictions by file name; a repeated row counts once, since the service may write one twice."""
    found: dict[str, Prediction] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter=" ", strict=True)
        for row in rows:
            if not row:
                continue
            prediction = read_row(row, f"{path}, line {rows.line_num}")
            if found.setdefault(prediction.file, prediction).digit != prediction.digit:
                raise ValueError(
                    f"{path}, line {rows.line_num}: {prediction.file} appears twice, with different digits"
                )
    return [found[file] for file in sorted(found)]


def table(predictions: Iterable[Prediction]) -> str:
    """A sample as aligned columns: up to half of it wrong predictions, the rest right ones."""
    ordered = sorted(predictions, key=lambda each: each.digit == each.label)
    wrong = [each for each in ordered if each.digit != each.label][: SAMPLE_ROWS // 2]
    right = [each for each in ordered if each.digit == each.label][: SAMPLE_ROWS - len(wrong)]
    width = max(len(each.file) for each in [*wrong, *right])
    lines = [f"{'file':{width}}  label  digit  confidence"]
    for each in [*wrong, *right]:
        mark = "" if each.digit == each.label else "  wrong"
        lines.append(f"{each.file:{width}}  {each.label:5}  {each.digit:5}  {each.confidence:10.4f}{mark}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python check.py PREDICTIONS_FILE\n")
        return 2
    try:
        predictions = read_predictions(Path(arguments[0]))
    except (OSError, ValueError, csv.Error) as error:
        sys.stderr.write(f"digits: {error}\n")
        return 1
    if not predictions:
        sys.stderr.write(f"digits: {arguments[0]} holds no predictions\n")
        return 1
    correct = sum(each.digit == each.label for each in predictions)
    share = correct / len(predictions)
    if share < REQUIRED:
        sys.stderr.write(f"digits: {share:.1%} correct is fewer than the {REQUIRED:.0%} that the check asks for\n")
    sys.stdout.write(f"{table(predictions)}\ndigits: {correct} of {len(predictions)} correct ({share * 100:.1f} %)\n")
    return 1 if share < REQUIRED else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
