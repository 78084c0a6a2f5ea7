"""`python -m lab.uv ARGUMENTS`: uv, set up as this machine's pip is. It needs nothing but uv beside this Python."""

from __future__ import annotations

import os
import sys

from uv import find_uv_bin

from lab.registries import uv_environment


def main(arguments: list[str]) -> None:
    """Becomes uv."""
    uv = find_uv_bin()
    os.execve(uv, [uv, *arguments], uv_environment(os.environ))  # noqa: S606 - uv of this environment


if __name__ == "__main__":
    main(sys.argv[1:])
