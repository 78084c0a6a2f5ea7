"""The job's logs: files under the names that the service uses, capped, and copied to blobs while the job runs."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from lab.scoring.blobs import BlobError, BlobStore
from lab.scoring.spec import BlobPath, LogsSpec

STD_LOG = "user_logs/std_log_0.txt"
BUILD_LOG = "azureml-logs/20_image_build_log.txt"
PIPELINE_LOG = "logs/azureml/executionlogs.txt"
"""Of the pipeline around the scoring step, in the service's words: what `az ml job stream` and the SDK show."""
README = "logs/readme.txt"
RESULT = "logs/job_result.txt"
ERRORS = "logs/user/error.txt"
MINI_BATCHES = "logs/sys/job_report/processed_mini-batches.csv"

ERROR_HEAD = (
    "This file shows errors in loading, calling init() and calling run() of the entry script. "
    'An error here may not impact the job result. Please check "job_result.txt" for the job result.\n'
)
"""The service's own head of its error files."""

README_TEXT = """\
user_logs/std_log_0.txt                             the job as a whole, as it went on
azureml-logs/20_image_build_log.txt                 how the environment was built
logs/azureml/executionlogs.txt                      when the scoring step was submitted, and when it ended
logs/job_progress_overview.<timestamp>.txt          counts of mini-batches and items, while the job runs
logs/job_result.txt                                 how the job ended
logs/job_error.<timestamp>.txt                      why it failed, where it did
logs/user/error.txt                                 one line per error of the entry script
logs/user/error/<node>/processNNN.txt               errors of the entry script in one worker process, with tracebacks
logs/user/stdout/<node>/processNNN.stdout.txt       what the entry script printed and logged
logs/user/stderr/<node>/processNNN.stderr.txt       what the entry script wrote to stderr
logs/user/entry_script_log/<node>/                  what the entry script logged by EntryScript().logger, or wrote there
logs/mlruns/<node>-<process>/                       what the entry script logged by mlflow, as MLflow keeps it in files
logs/sys/job_report/processed_mini-batches.csv      every try of every mini-batch: items, seconds, reason of its failure
"""


class CappedFile:
    """A file that takes no more than a number of bytes and says at its end how many it did not take."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO | None = None
        self._size = 0
        self._dropped = 0

    def write(self, data: bytes) -> None:
        if not data:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._size = self._path.stat().st_size
        kept = data[: max(0, self._limit - self._size)]
        self._file.write(kept)
        self._size += len(kept)
        self._dropped += len(data) - len(kept)

    def close(self) -> None:
        if self._file is None:
            return
        if self._dropped:
            self._file.write(f"\n[{self._dropped} bytes more: this log keeps {self._limit} bytes]\n".encode())
        self._file.close()
        self._file = None
        self._dropped = 0


class JobLogs:
    """All logs of a job: local files below one folder, and their copies in blobs.

    `uploaded` maps log name -> blob; it is replaced, never changed in place, so that another thread may read it.
    """

    def __init__(self, folder: Path, blobs: LogsSpec, *, limit: int = 5 * 1024 * 1024) -> None:
        self.limit = limit
        """Bytes kept of each log of a worker process."""
        self.progress = ""
        """Name of the newest progress log; whoever writes it says."""
        self.uploaded: dict[str, BlobPath] = {}
        self._folder = folder
        self._blobs = blobs
        self._sent: dict[str, tuple[int, int]] = {}
        self._uploading = threading.Lock()
        self._capped: dict[str, CappedFile] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self._folder / name

    def say(self, text: str) -> None:
        """Adds lines to the job's main log, with the time."""
        stamp = f"[{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S.%f}] "
        self.append(STD_LOG, "".join(f"{stamp}{line}\n" for line in text.splitlines()))

    def say_of_pipeline(self, text: str) -> None:
        """Adds a line to the pipeline's log, with the time as the service writes it there."""
        self.append(PIPELINE_LOG, f"[{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%SZ}] {text}\n")

    def append(self, name: str, text: str) -> None:
        self.capped(name).write(text.encode("utf-8", "backslashreplace"))

    def replace(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")

    def error(self, node: int, process: int, heading: str, traceback: str) -> None:
        """Adds an error of the entry script to the two files that the service keeps of them."""
        for name in (ERRORS, f"logs/user/error/{node}/process{process:03d}.txt"):
            if not self.path(name).exists():
                self.append(name, ERROR_HEAD)
            self.append(name, f"{heading}{traceback.rstrip()}\n\n")

    def capped(self, name: str) -> CappedFile:
        if name not in self._capped:
            self._capped[name] = CappedFile(self.path(name), self.limit)
        return self._capped[name]

    def close(self) -> None:
        for file in self._capped.values():
            file.close()

    def upload(self, store: BlobStore, *names: str) -> None:
        """Copies the logs named, or all of them, as far as they changed since the last time; raises BlobError."""
        with self._uploading:
            for path in sorted(self._folder.rglob("*")):
                name = path.relative_to(self._folder).as_posix()
                if not path.is_file() or (names and name not in names):
                    continue
                facts = path.stat()
                mark = (facts.st_size, facts.st_mtime_ns)
                if self._sent.get(name) == mark:
                    continue
                blob = BlobPath(self._blobs.container, f"{self._blobs.prefix}/{name}" if self._blobs.prefix else name)
                store.upload(path, blob, overwrite=True)
                self._sent[name] = mark
                self.uploaded = {**self.uploaded, name: blob}


class LogUploader:
    """Copies the logs that people watch to their blobs about once a second, in a thread of its own."""

    def __init__(self, logs: JobLogs, store: BlobStore, *, interval_seconds: float = 1.0) -> None:
        self._logs = logs
        self._store = store
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-uploader", daemon=True)
        self.failure: BlobError | None = None
        """Why the last upload failed; None when it did not."""

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, within_seconds: float | None) -> bool:
        """Copies all logs and ends; False when that did not succeed in time. None waits as long as it takes."""
        self._stop.set()
        self._thread.join(within_seconds)
        if self._thread.is_alive():
            return False
        last = threading.Thread(target=self._upload, name="log-uploader-last", daemon=True)
        last.start()
        last.join(within_seconds)
        return not last.is_alive() and self.failure is None

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._upload(STD_LOG, PIPELINE_LOG, self._logs.progress, ERRORS, BUILD_LOG)

    def _upload(self, *names: str) -> None:
        try:
            self._logs.upload(self._store, *names)
            self.failure = None
        except BlobError as error:
            self.failure = error
        except OSError as error:
            self.failure = BlobError(f"a log cannot be read: {error}")
