"""What a scoring script finds around it: environment variables, and its driver's arguments in sys.argv."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.scoring.spec import JobSpec, Settings


def environment(spec: JobSpec, folder: Mapping[str, Path], python: Path, model_dir: Path | None) -> dict[str, str]:
    """All a script sees: the deployment's variables and the service's, nothing of this machine or of the lab.

    `folder`: the job's folders by name.
    """
    settings = spec.settings
    return {
        **settings.environment_variables,
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(spec.directory),
        "TMPDIR": str(folder["tmp"]),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "AZUREML_BI_OUTPUT_PATH": str(folder["output"]),
        "AZUREML_RUN_ID": spec.name,
        "AZUREML_NODE_COUNT": str(settings.instance_count),
        "AZ_BATCHAI_GPU_COUNT_FOUND": str(settings.gpus_per_node),
        # MLflow is to log beside the other logs, and to nobody else.
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **({"AZUREML_MODEL_DIR": str(model_dir)} if model_dir else {}),
    }


def arguments(settings: Settings, folder: Mapping[str, Path], script: str) -> list[str]:
    """The driver's arguments, which a worker of the service keeps in sys.argv."""
    action = "append_row" if settings.output_action == "AppendRow" else "summary_only"
    return [
        *("--client_sdk_version", "lab"),
        *("--scoring_module_name", script),
        *("--mini_batch_size", str(settings.mini_batch_size)),
        *("--error_threshold", str(settings.error_threshold)),
        *("--output_action", action),
        *("--logging_level", settings.logging_level),
        *("--run_invocation_timeout", f"{settings.timeout_seconds:g}"),
        *("--run_max_try", str(settings.tries)),
        *("--create_snapshot_at_runtime", "True"),
        *("--append_row_file_name", settings.output_file_name),
        *("--append_row_dataframe_header", "False"),
        *("--output", str(folder["output"])),
        *("--process_count_per_node", str(settings.max_concurrency_per_instance)),
        *("--input_fds_0", str(folder["input"])),
    ]
