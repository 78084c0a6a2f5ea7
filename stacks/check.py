"""`python -m stacks check [STACK ...]`: what is wrong in stack files, by default in all, without asking anybody."""

import argparse
import sys

from stacks import checking
from stacks.engine import ROOT
from stacks.stack_file import stack_files


def main(arguments: list[str]) -> int:
    """Exit codes: 0 nothing is wrong, 1 something is, 2 there is no such stack."""
    parser = argparse.ArgumentParser(
        prog="python -m stacks check", description="Look for what is wrong in stack files, without asking anybody."
    )
    parser.add_argument("stacks", metavar="STACK", nargs="*", help="by default all")
    stacks: list[str] = parser.parse_args(arguments).stacks
    files = stack_files()
    unknown = [stack for stack in stacks if stack not in files]
    if unknown:
        print(f"error: there is no stack {', '.join(unknown)}; stacks here: {', '.join(files)}", file=sys.stderr)
        return 2
    found = checking.check({stack: path for stack, path in files.items() if not stacks or stack in stacks})
    for stack, failures in found.items():
        for failure in failures:
            print(f"{files[stack].relative_to(ROOT)}: {failure}", file=sys.stderr)
    wrong = sum(map(len, found.values()))
    print(f"{len(found)} stack files, {wrong or 'nothing'} wrong: {', '.join(found)}")
    return 1 if wrong else 0
