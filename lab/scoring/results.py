"""From the parts that workers wrote to the job's output: concatenated in the order of the input, uploaded once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.scoring.blobs import BlobExists, BlobStore
from lab.scoring.spec import BlobPath

OUTPUT_EXISTS = (
    "The output file {blob} exists already. A batch scoring job does not overwrite: choose another output file name or "
    "output path, or delete the file."
)


class OutputExists(Exception):
    """The job's output is already there; the text is the reason the job fails with."""


class Parts:
    """Files with the results of single mini-batches, one per mini-batch that succeeded.

    A worker writes to `attempt()`; only what is accepted, on a reported success, reaches the output: nothing that a
    killed worker left behind does, and rows of one mini-batch stay together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._accepted: dict[int, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def attempt(self, mini_batch: int, number: int) -> Path:
        return self._folder / f"{mini_batch:08d}.try{number}"

    def accept(self, mini_batch: int, number: int) -> None:
        self._accepted[mini_batch] = self.attempt(mini_batch, number)

    def concatenate(self, to: Path, *, in_order: bool = True) -> None:
        """Writes all accepted parts to one file, in the order of their mini-batches or in that of their arrival."""
        with to.open("wb") as output:
            for mini_batch in sorted(self._accepted) if in_order else self._accepted:
                with self._accepted[mini_batch].open("rb") as file:
                    shutil.copyfileobj(file, output, 1024 * 1024)


def refuse_existing(store: BlobStore, output: BlobPath) -> None:
    """Raises OutputExists when the output file is there already (docs: "the batch scoring job will fail")."""
    if store.exists(output):
        raise OutputExists(OUTPUT_EXISTS.format(blob=output))


def upload_result(store: BlobStore, source: Path, output: BlobPath) -> None:
    """Uploads a file under a condition: a blob that appeared meanwhile is left as it is and raises OutputExists."""
    try:
        store.upload(source, output, overwrite=False)
    except BlobExists as error:
        raise OutputExists(OUTPUT_EXISTS.format(blob=output)) from error


def written_files(folder: Path) -> Iterable[tuple[str, Path]]:
    """Relative name and path of each regular file that the script left in AZUREML_BI_OUTPUT_PATH, sorted.

    Symbolic links are left out: they could name any file of this machine.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path
