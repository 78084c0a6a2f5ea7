"""Supervise one child: when the engine goes, however it goes, the child and its whole process group go too.

Run by file, isolated and without site packages, as it is started for every child:
`python -I -S child.py WATCH_FD COMMAND...`. The engine alone holds the other end of the watched pipe, so its end is
the engine's end, kill -9 included. Imports nothing of this project.
"""

import os
import signal
import subprocess
import sys
import threading


def main(arguments: list[str]) -> int:
    watched = int(arguments[0])
    os.set_inheritable(watched, False)

    def kill_group_with_engine() -> None:
        os.read(watched, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=kill_group_with_engine, daemon=True).start()
    try:
        process = subprocess.Popen(arguments[1:])  # noqa: S603  (the engine's own command)
    except OSError as error:
        sys.stderr.write(f"could not start {arguments[1]}: {error}\n")
        return 127
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
