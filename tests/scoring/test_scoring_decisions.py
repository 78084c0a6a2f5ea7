"""The pure parts: splitting, counting, bounds, conda files, messages, results."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.scoring.conda import CondaError, named_requirement, parse_conda, pip_version
from lab.scoring.environment import (
    EnvironmentFailed,
    environment_hash,
    install_failure,
    installer_environment,
    read_conda,
    redacted,
)
from lab.scoring.mini_batches import MiniBatch, Tally, init_gives_up, split, worker_count
from lab.scoring.results import Parts
from lab.scoring.spec import EnvironmentSpec, Settings, SpecError, parse_spec
from lab.scoring.status import StatusFile
from lab.scoring.worker import EntryScriptException, write_result
from tests.scoring.job_bench import base_document

ENVIRONMENT = EnvironmentSpec("digits-env", "3", "mcr.example/image", None)


@given(st.lists(st.text(), max_size=50), st.integers(1, 12))
def test_splitting_loses_nothing_and_fills_every_mini_batch_but_the_last(files: list[str], size: int) -> None:
    mini_batches = split(files, size)

    assert [name for mini_batch in mini_batches for name in mini_batch.files] == files
    assert all(len(mini_batch.files) == size for mini_batch in mini_batches[:-1])
    assert [mini_batch.index for mini_batch in mini_batches] == list(range(len(mini_batches)))


@pytest.mark.parametrize(
    ("succeeded", "threshold", "exceeds"),
    [(3, 0, False), (2, 0, True), (2, 1, False), (0, 2, True), (0, 3, False), (0, -1, False), (9, 0, False)],
)
def test_the_threshold_is_exceeded_by_more_failed_items_than_it_allows(
    succeeded: int, threshold: int, exceeds: bool
) -> None:
    tally = Tally(3, 1)
    tally.succeed(MiniBatch(0, ("a", "b", "c")), succeeded, succeeded)

    assert tally.exceeds(threshold) is exceeds


def test_a_file_with_many_rows_hides_the_failure_of_others_as_the_service_counts() -> None:
    tally = Tally(2, 2)
    tally.fail(MiniBatch(0, ("a",)))
    tally.succeed(MiniBatch(1, ("b",)), 100, 100)

    assert (tally.succeeded_items, tally.failed_items) == (100, 0)


@pytest.mark.parametrize(
    ("instances", "concurrency", "limit", "mini_batches", "count", "reason"),
    [
        (1, 1, 4, 9, 1, None),
        (2, 2, 4, 9, 4, None),
        (2, 2, 3, 9, 3, "this lab grants 3"),
        (2, 2, 3, 1, 1, "only 1 mini-batch"),
    ],
)
def test_workers_are_bounded_and_the_reason_is_told(
    instances: int, concurrency: int, limit: int, mini_batches: int, count: int, reason: str | None
) -> None:
    settings = Settings(instance_count=instances, max_concurrency_per_instance=concurrency)

    workers = worker_count(settings, limit, mini_batches)

    assert workers.count == count
    assert (workers.reason is None) if reason is None else (reason in str(workers.reason))


@pytest.mark.parametrize(
    ("on_node", "per_node", "failures", "processes", "seconds", "gives_up"),
    [(2, 1, 2, 1, 1, False), (3, 1, 3, 1, 1, True), (3, 2, 4, 4, 121, False), (5, 2, 8, 4, 121, True)],
)
def test_init_gives_up_as_documented(
    on_node: int, per_node: int, failures: int, processes: int, seconds: float, gives_up: bool
) -> None:
    assert init_gives_up(on_node, per_node, failures, processes, seconds) is gives_up


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (["a", 1, [1, "x"]], "a\n1\n[1, 'x']\n"),
        (("ä",), "ä\n"),
        ([], ""),
        (pd.DataFrame({"file": ["a b.png", "c"], "p": [0.25, 1.0]}), '"a b.png" 0.25\nc 1.0\n'),
    ],
    ids=["list", "tuple", "empty", "DataFrame"],
)
def test_results_are_written_as_the_service_writes_them(tmp_path: Path, result: Any, text: str) -> None:
    rows = write_result(result, str(tmp_path / "part"))

    assert rows == len(result)
    assert (tmp_path / "part").read_text(encoding="utf-8") == text


def test_a_dataframe_row_reads_back_with_spaces_as_separator(tmp_path: Path) -> None:
    write_result(pd.DataFrame([["a b", 'say "hi"', 2]]), str(tmp_path / "part"))

    read = pd.read_csv(io.StringIO((tmp_path / "part").read_text()), sep=" ", header=None)
    assert read.values.tolist() == [["a b", 'say "hi"', 2]]


@pytest.mark.parametrize("result", [None, 3, "abc", {"a": 1}, iter([1])], ids=lambda value: type(value).__name__)
def test_other_results_are_refused_with_their_type(result: Any) -> None:
    with pytest.raises(EntryScriptException, match=f"The actual type of output is {type(result).__name__}\\."):
        write_result(result, None)


def test_parts_of_unfinished_tries_never_reach_the_output(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    for mini_batch, number, text in ((1, 1, "late\n"), (0, 2, "first\n"), (0, 1, "torn"), (1, 2, "other")):
        parts.attempt(mini_batch, number).write_text(text)
    parts.accept(0, 2)
    parts.accept(1, 1)

    parts.concatenate(tmp_path / "all")

    assert (tmp_path / "all").read_text() == "first\nlate\n"


def test_a_conda_file_gives_its_pip_part_and_python_version() -> None:
    conda = parse_conda(
        """
name: digits
channels: [conda-forge]
dependencies:
  - python=3.10
  - pip<23
  - setuptools=65
  - gcc_linux-64=9
  - pip:
    - numpy  ==  1.26
    - --extra-index-url https://example.org/simple
    - pillow
"""
    )
    assert conda.python == "3.10"
    assert conda.requirements == (
        "setuptools==65.*",
        "numpy == 1.26",
        "--extra-index-url https://example.org/simple",
        "pillow",
    )
    assert conda.provided == ("python=3.10", "pip<23")
    assert conda.unprovided == ("gcc_linux-64=9",)


def test_a_conda_file_may_be_json() -> None:
    assert parse_conda('{"dependencies": ["python=3.8.5", {"pip": ["numpy"]}]}').python == "3.8.5"


@pytest.mark.parametrize(
    ("constraint", "python"),
    [
        ("=3.10", "3.10"),
        ("==3.8.5", "3.8.5"),
        ("=3.9.*", "3.9"),
        (">=3.8", None),
        ("", None),
        ("=3.8.5=h7579374_1", "3.8.5"),
    ],
)
def test_python_versions_of_conda(constraint: str, python: str | None) -> None:
    assert parse_conda(f'{{"dependencies": ["python{constraint}"]}}').python == python


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("", ""),
        ("=1.2", "==1.2.*"),
        ("1.2", "==1.2"),
        ("==1.2", "==1.2"),
        (" >=1, <2", ">=1,<2"),
        ("=1.2=py38_0", "==1.2"),
    ],
)
def test_conda_constraints_in_pips_words(conda: str, pip: str) -> None:
    assert pip_version(conda) == pip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "must be a mapping"),
        ("name: x", "'dependencies' must be a list"),
        ("a: [", "is no YAML"),
        ("dependencies: [{conda: [x]}]", "must be 'pip:' with a list"),
        ("dependencies: [{pip: ['-r more.txt']}]", "'-r more.txt' names a local file"),
        ("dependencies: [3]", "dependency 3 must be"),
    ],
)
def test_conda_files_that_cannot_be_used_name_the_line(text: str, told: str) -> None:
    with pytest.raises(CondaError, match=told):
        parse_conda(text)


def test_conda_packages_that_cannot_be_provided_are_refused_by_name_and_logged() -> None:
    said: list[str] = []
    environment = EnvironmentSpec("e", "1", "image", "dependencies: [python, pytorch=2, cudatoolkit, pip: [numpy]]")

    with pytest.raises(EnvironmentFailed, match="'pytorch=2', 'cudatoolkit' cannot be provided"):
        read_conda(environment, said.append)

    assert any("image image is not run" in line for line in said)
    assert sum("cannot be provided" in line for line in said) == 2


def test_an_environment_of_an_image_alone_is_refused_with_the_way_out() -> None:
    with pytest.raises(EnvironmentFailed, match=r"digits-env:3 has no conda file.*'mcr\.example/image'"):
        read_conda(ENVIRONMENT, lambda _: None)


def test_the_hash_ignores_the_order_but_not_the_interpreter() -> None:
    first = environment_hash(("numpy", "pillow"), "python", "3.11.7")

    assert first == environment_hash(("pillow", "numpy"), "python", "3.11.7")
    assert first != environment_hash(("pillow", "numpy"), "python", "3.11.8")


NOT_FOUND = """Using Python 3.11.7 environment at: e1
error: No solution found when resolving dependencies
  cause: Because nosuch-pkg was not found in the package registry and you require nosuch-pkg, we can conclude that \
your requirements are unsatisfiable.
"""
UNREACHABLE = """error: Request failed after 3 retries in 6.9s
  cause: Failed to fetch: https://index.example/simple/numpy/
  cause: dns error
"""


def test_a_package_that_is_not_there_is_named_as_it_stands_in_the_conda_file() -> None:
    message = install_failure(ENVIRONMENT, ("numpy", "Nosuch_Pkg>=1"), NOT_FOUND)

    assert message.startswith("environment digits-env:3: pip requirement 'Nosuch_Pkg>=1' of its conda file cannot be")
    assert "was not found in the package registry" in message


def test_no_network_is_told_as_such() -> None:
    message = install_failure(ENVIRONMENT, ("numpy",), UNREACHABLE)

    assert "the package index cannot be reached (no network?)" in message
    assert "dns error" in message


@pytest.mark.parametrize(
    ("output", "named"),
    [("no version of numpy==99", "numpy==99"), ("numpy and pillow", None), ("numpy-financial", None), ("other", None)],
)
def test_a_requirement_is_named_only_when_it_is_the_one(output: str, named: str | None) -> None:
    assert named_requirement(("numpy==99", "pillow"), output) == named


def test_the_installer_gets_the_index_settings_and_no_secrets() -> None:
    environ = {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://index.example/simple",
        "HTTPS_PROXY": "http://proxy.example",
        "AZURE_CLIENT_SECRET": "s",
        "LAB_HOME": "x",
    }
    assert installer_environment(environ, pip=lambda _: "", bundles=()) == {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy.example",
        "UV_DEFAULT_INDEX": "https://index.example/simple",
    }


def test_passwords_in_addresses_do_not_reach_logs() -> None:
    assert redacted("see https://me:secret@index.example/simple") == "see https://***@index.example/simple"


def test_a_spec_names_every_wrong_property(tmp_path: Path) -> None:
    document = base_document(tmp_path / "job")
    document["input"]["type"] = "MLTable"
    document["settings"].update(mini_batch_size=0, error_threshold=-2, timeout_seconds="soon")
    del document["storage"]["key"]

    with pytest.raises(SpecError) as caught:
        parse_spec(document)

    names = [failure.split(":")[0] for failure in caught.value.failures]
    assert sorted(names) == [
        "input.type",
        "settings.error_threshold",
        "settings.mini_batch_size",
        "settings.timeout_seconds",
        "storage.key",
    ]


def test_the_key_of_the_storage_account_is_not_in_the_specs_repr(tmp_path: Path) -> None:
    document = base_document(tmp_path / "job")
    document["storage"]["key"] = "very-secret"

    assert "very-secret" not in repr(parse_spec(document))


def test_the_status_file_is_written_at_most_once_per_interval(tmp_path: Path) -> None:
    now = [0.0]
    file = StatusFile(tmp_path / "status.json", clock=lambda: now[0])
    file.enter("Running", "scoring")
    file.status.phase = "later"

    file.touch()
    assert "later" not in (tmp_path / "status.json").read_text()
    now[0] = 0.3
    file.touch()
    assert "later" in (tmp_path / "status.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
