"""Logs read for what went wrong."""

from __future__ import annotations

import pytest

from providers.aml import failures

SCRIPT = """\
some line
The process000 on node 0 failed with error: Traceback (most recent call last):
  File "/azureml-envs/x/lib/python3.10/site-packages/azureml_user/parallel_run/entry.py", line 9, in call
    return run(mini_batch)
  File "/mnt/wd/{script}", line 46, in run
    check(path)
  File "/azureml-envs/x/lib/python3.10/site-packages/pandas/io.py", line 1, in read
    raise ValueError(text)
ValueError: no such digit: {text}
the line after
"""


def test_the_innermost_line_of_the_users_own_code_is_told() -> None:
    first = failures.first(SCRIPT.format(script="score.py", text="7"))

    assert first is not None
    assert str(first) == "ValueError: no such digit: 7 (score.py, line 46)"
    assert first.around(SCRIPT, 20)[0] == "some line"
    assert first.around(SCRIPT, 20)[-1] == "the line after"


def test_of_several_the_first_is_told() -> None:
    log = SCRIPT.format(script="score.py", text="7") + SCRIPT.format(script="other.py", text="8")

    assert str(failures.first(log)).endswith("(score.py, line 46)")


def test_of_a_long_one_the_end_is_shown() -> None:
    log = SCRIPT.format(script="score.py", text="7")
    first = failures.first(log)

    assert first is not None
    assert first.around(log, 3) == ("    raise ValueError(text)", "ValueError: no such digit: 7", "the line after")


def test_the_file_that_a_generated_driver_names_is_what_it_was_on() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/x/score.py", line 1, in run\n'
        "Exception: Error processing input file: '/mnt/in/bad.csv'. Exception:boom\n"
    )

    first = failures.first(log)

    assert first is not None and first.on == "/mnt/in/bad.csv"


@pytest.mark.parametrize(
    "log", ["", "all is well\n", "Traceback (most recent call last):\n  File"], ids=["", "none", "cut"]
)
def test_no_exception_is_none(log: str) -> None:
    assert failures.first(log) is None


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement nope==9 (from versions: none)\n"
            "ERROR: No matching distribution found for nope==9\n",
            "No matching distribution found for nope==9",
        ),
        ("ResolvePackageNotFound:\n  - nope=9\n", "ResolvePackageNotFound: - nope=9"),
        ("E: Unable to locate package nope\n", "E: Unable to locate package nope"),
        ("  ERROR: Failed building wheel for nope\n", "Failed building wheel for nope"),
        (
            "× No solution found when resolving dependencies:\n  ╰─▶ Because nope was not found in the package registry"
            " and you require nope, we can conclude that your requirements are unsatisfiable.\n",
            "Because nope was not found in the package registry and you require nope, we can conclude that your"
            " requirements are unsatisfiable.",
        ),
        ("all built\n", ""),
    ],
    ids=["pip", "conda", "apt", "wheel", "uv", "none"],
)
def test_a_build_names_the_package_that_it_could_not_have(log: str, line: str) -> None:
    assert failures.failed_package(log) == line
