"""One scoring job from its spec to its end: the order of things, and what the job says when one of them fails."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from lab.scoring import surroundings
from lab.scoring.blobs import (
    BlobError,
    BlobStore,
    Cancellation,
    Cancelled,
    blobs_below,
    download_all,
    safe_target,
)
from lab.scoring.environment import NO_AZUREML, NO_ENVIRONMENT, EnvironmentFailed, EnvironmentResolver, has_module
from lab.scoring.failures import ScriptFailed
from lab.scoring.logs import BUILD_LOG, MINI_BATCHES, README, README_TEXT, RESULT, STD_LOG, JobLogs, LogUploader
from lab.scoring.mini_batches import NO_DATA, NO_RESULT, MiniBatch, Tally, split, worker_count
from lab.scoring.mlflow_model import MlflowModelError, environment_of, read_mlflow_model
from lab.scoring.pool import WorkerPool
from lab.scoring.progress import ProgressOverview
from lab.scoring.report import Report
from lab.scoring.results import OutputExists, Parts, refuse_existing, upload_result, written_files
from lab.scoring.spec import BlobPath, EnvironmentSpec, JobSpec, ModelSpec
from lab.scoring.status import JobStatus, Status, StatusFile, now
from lab.scoring.worker_process import WorkerLaunch

_CANCEL_UPLOAD_SECONDS = 0.3
"""How long a cancelled job goes on copying its logs, per step: it is to be gone within a second."""


_MLFLOW_SCRIPT = Path(__file__).with_name("mlflow_scoring.py")
"""Never imported here: it needs what the model's environment has."""

_FOLDERS = ("code", "azureml-models", "input", "output", "parts", "scratch", "tmp")
"""What a job keeps in its directory while it runs, beside logs and status."""


_RUN_FAILED = (
    "User program failed with Exception: Run failed, please check logs for details. "
    "You can check logs/readme.txt for the layout of logs."
)
"""How the service's own log ends when init() or run() raised (Microsoft's troubleshooting page)."""


class JobFailed(Exception):
    """The job ends as Failed; `code` is UserError or SystemError, the text what its owner reads."""

    def __init__(self, message: str, code: str = "UserError") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class _Entry:
    """What is run: a script in the code folder, and where."""

    script: str
    environment: EnvironmentSpec
    rows_of_files: bool = False
    """Results are written as for MLflow models."""


def run_job(
    spec: JobSpec,
    store: BlobStore,
    environments: EnvironmentResolver,
    cancellation: Cancellation,
    *,
    log_limit: int = 5 * 1024 * 1024,
    end_orphans: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Status:
    """Runs a job to its end, which is in the status it returns and in status.json; raises nothing of the job's.

    `log_limit` is in bytes, for each log of a worker process. `end_orphans` is called when scoring has ended: a process
    of its own ends there what scripts detached from their workers. `clock` (seconds) tells when a try is too late.
    """
    job = _Job(spec, store, environments, cancellation, log_limit=log_limit, clock=clock)
    return job.run(end_orphans)


class _Job:
    def __init__(
        self,
        spec: JobSpec,
        store: BlobStore,
        environments: EnvironmentResolver,
        cancel: Cancellation,
        *,
        log_limit: int,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._spec = spec
        self._store = store
        self._environments = environments
        self._cancel = cancel
        spec.directory.mkdir(parents=True, exist_ok=True)
        self._file = StatusFile(spec.directory / "status.json")
        self._status = self._file.status
        self._logs = JobLogs(spec.directory / "logs", spec.logs, limit=log_limit)
        self._uploader = LogUploader(self._logs, store)
        self._report = Report(self._logs.path(MINI_BATCHES))
        self._progress = ProgressOverview(self._logs.append)
        self._began = time.monotonic()
        self._folder = {name: spec.directory / name for name in _FOLDERS}

    def run(self, end_orphans: Callable[[], None]) -> Status:
        (self._spec.directory / "pid").write_text(f"{self._status.pid}\n", encoding="ascii")
        self._status.started = now()
        self._file.enter("Preparing", "reading the job")
        self._logs.append(STD_LOG, "Azure Machine Learning Batch Inference Start\n")
        self._logs.say("No started flag set. Skip creating started flag.")
        self._logs.replace(README, README_TEXT)
        self._logs.say_of_pipeline(f"Submitting 1 runs, first five are: {self._spec.step[:8]}:{self._spec.step}")
        self._uploader.start()
        end: JobStatus = "Failed"
        try:
            self._score()
            end = "Completed"
        except Cancelled:
            end = "Canceled"
            self._file.enter("CancelRequested", "cancelling")
            self._logs.say("The job was cancelled.")
        except (JobFailed, ScriptFailed, OutputExists, EnvironmentFailed, BlobError) as error:
            otherwise = "SystemError" if isinstance(error, BlobError) else "UserError"
            self._status.script_failed = isinstance(error, ScriptFailed)
            self._fail(str(error), getattr(error, "code", otherwise))
            if isinstance(error, ScriptFailed):
                self._logs.say((error.error.traceback + _RUN_FAILED) if error.error else _RUN_FAILED)
        except Exception as error:  # noqa: BLE001 - the job must end with a status whatever happens; nothing is hidden
            self._logs.say(traceback.format_exc())
            self._fail(f"the scoring runtime itself failed: {type(error).__name__}: {error}", "SystemError")
        end_orphans()
        self._finish(end)
        return self._status

    def _score(self) -> None:
        spec = self._spec
        entry = self._entry()
        if spec.settings.output_action == "AppendRow":
            refuse_existing(self._store, spec.output)
        if entry:
            self._phase("downloading code")
            self._fetch_code(entry.script)
        model_dir = self._fetch_model()
        files = self._list_input(nested=entry is not None)
        if entry is None:
            entry = self._entry_of_mlflow(model_dir, files)
        mini_batches = split(sorted(files), spec.settings.mini_batch_size)
        self._status.tally = Tally(len(files), len(mini_batches))
        python = self._resolve_environment(entry.environment)
        if not entry.rows_of_files:
            self._look_for_azureml_core(python, entry.environment)
        self._fetch_input(files)
        self._file.enter("Queued", "starting workers")
        self._run_pool(entry, model_dir, python, mini_batches)
        self._file.enter("Finalizing", "writing the output")
        self._write_output()

    def _entry(self) -> _Entry | None:
        """The deployment's script and environment; None for an MLflow model, which brings its own."""
        spec = self._spec
        if spec.code is None and spec.model is not None and spec.model.is_mlflow:
            return None
        if spec.code is None:
            raise JobFailed("the deployment has no code configuration: a custom model needs a code asset and a script")
        if spec.environment is None:
            raise JobFailed(NO_ENVIRONMENT)
        script = spec.code.scoring_script
        if not script or PurePosixPath(script).is_absolute() or ".." in PurePosixPath(script).parts:
            raise JobFailed(f"scoring script {script!r} must be a path inside the code folder")
        return _Entry(str(PurePosixPath(script)), spec.environment)

    def _entry_of_mlflow(self, model_dir: Path | None, files: Iterable[str]) -> _Entry:
        model = self._spec.model
        assert model is not None and model_dir is not None  # noqa: S101 - _entry() saw a model
        folders = sorted(model_dir.iterdir())
        if len(folders) != 1:
            raise JobFailed(f"model {model} must be one folder, registered by its path: it has {len(folders)} entries")
        try:
            found = read_mlflow_model(folders[0])
        except MlflowModelError as error:
            raise JobFailed(f"model {model}: {error}") from error
        self._folder["code"].mkdir()
        script = Path(shutil.copy(_MLFLOW_SCRIPT, self._folder["code"])).name
        self._logs.say(f"model {model} is an MLflow model without a scoring script: {script} scores it")
        environment = self._spec.environment or environment_of(found, model.name, model.version, files)
        return _Entry(script, environment, rows_of_files=True)

    def _fetch_code(self, script: str) -> None:
        assert self._spec.code is not None  # noqa: S101 - _entry() refused that
        source = self._spec.code.blobs
        files = blobs_below(self._store, source)
        if not files:
            raise JobFailed(f"code {source} has no files: was its upload deleted?")
        if script not in files:
            others = [name for name in files if name.endswith(".py")][:5]
            hint = f" (it has {', '.join(others)})" if others else " (it has no Python file)"
            raise JobFailed(f"scoring script {script!r} is not in code {source}{hint}")
        root = self._folder["code"]
        targets = [(item.name, safe_target(root, name)) for name, item in files.items()]
        download_all(self._store, source.container, targets, self._cancel)
        self._logs.say(f"code: {len(files)} files of {source}, scoring script {script}")

    def _fetch_model(self) -> Path | None:
        """AZUREML_MODEL_DIR: the registered folder by its name inside it, or the registered file directly below."""
        model = self._spec.model
        if model is None:
            return None
        self._phase("downloading model")
        home = safe_target(self._folder["azureml-models"], f"{model.name}/{model.version}")
        home.mkdir(parents=True)
        targets = self._model_targets(model, home)
        if not targets:
            raise JobFailed(f"model {model}: nothing is at {model.blobs}: was its upload deleted?")
        download_all(self._store, model.blobs.container, targets, self._cancel)
        self._logs.say(f"model {model}: {len(targets)} files of {model.blobs}")
        return home

    def _model_targets(self, model: ModelSpec, home: Path) -> list[tuple[str, Path]]:
        if model.blobs.path and self._store.exists(model.blobs):
            return [(model.blobs.path, safe_target(home, model.blobs.name))]
        folder = home / model.blobs.name if model.blobs.path else home
        return [(item.name, safe_target(folder, name)) for name, item in blobs_below(self._store, model.blobs).items()]

    def _list_input(self, *, nested: bool) -> dict[str, str]:
        """File name, relative to the input folder -> blob name; never empty."""
        source = self._spec.input.blobs
        if self._spec.input.type == "UriFile":
            files = {source.name: source.path} if source.path and self._store.exists(source) else {}
        else:
            files = {name: item.name for name, item in blobs_below(self._store, source).items()}
        below = [] if nested else [name for name in files if "/" in name]
        if below:
            self._logs.say(f"input: {len(below)} files in nested folders are left out, as for every MLflow model")
            files = {name: blob for name, blob in files.items() if "/" not in name}
        if not files:
            raise JobFailed(f"{NO_DATA.format(id=source)} (input {source}, {self._spec.input.type})")
        return files

    def _resolve_environment(self, environment: EnvironmentSpec) -> Path:
        self._phase(f"building environment {environment}")
        return self._environments(
            environment, self._logs.say, lambda text: self._logs.append(BUILD_LOG, text), self._cancel
        )

    def _look_for_azureml_core(self, python: Path, environment: EnvironmentSpec) -> None:
        """The service's runtime imports it in the script's environment; the lab's does not."""
        if has_module(python, "azureml"):
            return
        if self._spec.settings.needs_azureml_core:
            raise JobFailed(NO_AZUREML.format(environment=environment))
        self._logs.say(f"environment {environment} has no azureml-core: here none is needed, in the service one is")

    def _fetch_input(self, files: dict[str, str]) -> None:
        self._phase(f"downloading input: 0 of {len(files)} files")
        root = self._folder["input"]
        targets = [(blob, safe_target(root, name)) for name, blob in files.items()]

        def progress(done: int) -> None:
            self._status.phase = f"downloading input: {done} of {len(files)} files"
            self._file.touch()

        download_all(self._store, self._spec.input.blobs.container, targets, self._cancel, progress=progress)
        for _, target in targets:
            target.chmod(0o444)  # the service mounts the input read-only
        self._logs.say(f"input: {len(files)} files of {self._spec.input.blobs}")

    def _run_pool(self, entry: _Entry, model_dir: Path | None, python: Path, mini_batches: list[MiniBatch]) -> None:
        settings, tally = self._spec.settings, self._status.tally
        workers = worker_count(settings, self._spec.max_workers, len(mini_batches))
        if workers.reason:
            self._logs.say(workers.reason)
        for name in ("output", "scratch", "tmp"):
            self._folder[name].mkdir(exist_ok=True)
        self._parts = Parts(self._folder["parts"])
        launch = WorkerLaunch(
            python,
            surroundings.environment(self._spec, self._folder, python, model_dir),
            {
                "code_root": str(self._folder["code"]),
                "script": str(self._folder["code"] / entry.script),
                "argv": surroundings.arguments(settings, self._folder, entry.script),
                "logging_level": settings.logging_level,
                "output_action": settings.output_action,
                "rows_of_files": entry.rows_of_files,
                "output_dir": str(self._folder["output"]),
            },
            self._folder["scratch"],
            self._folder["input"],
        )
        pool = WorkerPool(
            launch,
            settings,
            mini_batches,
            workers.count,
            tally=tally,
            parts=self._parts,
            logs=self._logs,
            cancellation=self._cancel,
            observe=self._observe,
            record=self._report.add,
            clock=self._clock,
        )
        self._logs.say(
            f"scoring {len(mini_batches)} mini-batches, {tally.total_items} files, {workers.count} process(es)"
        )
        self._file.enter("Running", f"scoring: 0 of {len(mini_batches)} mini-batches")
        self._progress.begin(tally, time.monotonic() - self._began)
        try:
            pool.run()
        finally:
            self._observe([])
            self._progress.end(tally)
        if tally.succeeded_items == 0 and settings.output_action == "AppendRow":
            raise ScriptFailed(f"{NO_RESULT} First error:" if pool.first_error else NO_RESULT, pool.first_error)

    def _write_output(self) -> None:
        """Uploads what the script wrote by itself, then, with append_row, the rows: they mean that all is there."""
        spec, tally = self._spec, self._status.tally
        outputs: list[BlobPath] = []
        for name, path in written_files(self._folder["output"]):
            self._cancel.check()
            blob = spec.output.folder.child(name)
            upload_result(self._store, path, blob)
            outputs.append(blob)
        if spec.settings.output_action == "AppendRow":
            self._cancel.check()
            rows = self._folder["parts"] / "rows.all"
            self._parts.concatenate(rows, in_order=spec.settings.row_order == "input")
            upload_result(self._store, rows, spec.output)
            outputs.append(spec.output)
        self._status.outputs = outputs
        self._logs.say(f"output: {len(outputs)} file(s) in {spec.output.folder}, {tally.rows} rows")

    def _phase(self, phase: str) -> None:
        self._cancel.check()
        self._file.enter("Preparing", phase)

    def _observe(self, process_groups: list[int]) -> None:
        """Keeps the status file and the progress log up to date."""
        tally = self._status.tally
        finished = tally.done_mini_batches + tally.failed_mini_batches
        self._status.phase = f"scoring: {finished} of {tally.total_mini_batches} mini-batches"
        self._status.process_groups = process_groups
        self._status.logs = self._logs.uploaded
        self._file.touch()
        self._progress.look(tally)
        self._logs.progress = self._progress.name

    def _fail(self, message: str, code: str) -> None:
        self._status.error = (code, message)
        self._logs.say(message)

    def _finish(self, end: JobStatus) -> None:
        """Last logs, tidying, last status, in this order: whoever sees the end finds everything in its place."""
        tally = self._status.tally
        self._report.close()
        error = f"error: {self._status.error[1]}\n" if self._status.error else ""
        if error:
            self._logs.replace(f"logs/job_error.{datetime.now(timezone.utc):%Y%m%d%H}.txt", error)
        self._logs.replace(
            RESULT,
            f"The job is {end}.\n{error}total items: {tally.total_items}\nsucceeded items: {tally.succeeded_items}\n"
            f"failed items: {tally.failed_items}\n",
        )
        self._logs.append(
            STD_LOG,
            "Azure Machine Learning Batch Inference End\n"
            "Cleaning up all outstanding Run operations, waiting 300.0 seconds\n",
        )
        self._logs.say_of_pipeline(f"Completing processing run id {self._spec.step}.")
        self._logs.close()
        sent = self._uploader.finish(within_seconds=_CANCEL_UPLOAD_SECONDS if end == "Canceled" else None)
        if not sent:
            self._logs.say(f"logs could not all be copied to blobs: {self._uploader.failure or 'no time was left'}")
            self._logs.close()
        self._status.logs = self._logs.uploaded
        if end != "Canceled":
            self._tidy()
        self._file.enter(end, "")
        if end == "Canceled":
            self._tidy()

    def _tidy(self) -> None:
        """Removes all but logs and status; what cannot be removed is left and told."""
        for name, folder in self._folder.items():
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                self._logs.say(f"folder {name} of the job could not be removed wholly")
                self._logs.close()
