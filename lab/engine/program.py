"""Run a Pulumi program in this process, on behalf of the engine that started it.

`python program.py DIRECTORY '{"monitor": ..., "engine": ..., "project": ..., "stack": ..., ...}'`; configuration comes
in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS. The contract is that of the SDK's own executor (pulumi 3.260.0,
sdk/python/cmd/pulumi-language-python-exec): status 0, 1 for a RunError, 32 when the error has been logged.
Imports nothing of this project: the program must find its own modules, not the engine's.
"""

import asyncio
import json
import logging
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SHOWN = 32


def _trace_of_program(directory: str) -> str:
    """The traceback from the first frame that is the program's own."""
    error = sys.exc_info()
    frames = traceback.extract_tb(error[2])
    main = (Path(directory) / "__main__.py").resolve()
    for index, frame in enumerate(frames):
        if Path(frame.filename).resolve() == main:
            return traceback.format_exc(limit=index - len(frames))
    return traceback.format_exc()


def main(directory: str, settings: dict[str, object]) -> int:
    import pulumi
    import pulumi.runtime

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))  # type: ignore[arg-type]
    sys.argv = [directory]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(int(str(settings["parallel"])), 1) * 4)
    loop.set_default_executor(executor)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # futures of a failed program are never awaited

    def run() -> None:
        if not (Path(directory) / "__main__.py").exists():
            raise pulumi.RunError(f"unable to find main python program `__main__.py` in `{Path(directory).resolve()}`")
        runpy.run_path(directory, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN
    except Exception:  # noqa: BLE001  (a program may fail in any way)
        pulumi.log.error("Program failed with an unhandled exception:\n" + _trace_of_program(directory))
        return SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    sys.path.pop(0)
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
