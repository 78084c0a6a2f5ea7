"""Folders are scanned to the same value everywhere, and what cannot be uploaded is refused by name."""

from __future__ import annotations

import inspect
import os
import shutil
import socket
import sys
import unicodedata
from pathlib import Path

import pytest

from providers.blob import Folder, FolderError, manifest, scan
from providers.blob.folder import FileEntry, digest


def fill(root: Path, **files: str) -> Path:
    """Files by name, where `__` stands for a slash and `_dot_` for a dot."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def names(root: Path) -> list[str]:
    return [entry.path for entry in manifest(root)]


def test_the_digest_is_golden(tmp_path: Path) -> None:
    """A change of this value makes every user upload everything anew: it needs a reason and a line in the changelog."""
    folder = scan(fill(tmp_path, score_dot_py="print(1)\n", lib__a_dot_py="", ü_dot_txt="ü"))
    assert (folder.files, folder.bytes) == (3, 11)
    assert folder.digest == "f7c10a806d29aca0beb8be1e38dd6399b36071de68e73961b75f8482a54c526c"


def test_the_digest_does_not_depend_on_place_dates_or_modes(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", a_dot_py="1", b__c="2")
    other = tmp_path / "elsewhere" / "deep"
    shutil.copytree(one, other)
    os.utime(other / "a.py", (1, 1))
    (other / "a.py").chmod(0o700)
    assert scan(one).digest == scan(other).digest


def test_the_digest_does_not_depend_on_the_order_of_entries() -> None:
    entries = [FileEntry("b", 1, "x"), FileEntry("a/z", 1, "y"), FileEntry("a.py", 1, "z")]
    assert digest(entries) == digest(reversed(entries))


@pytest.mark.parametrize("change", ["content", "name", "place", "more", "less"])
def test_the_digest_depends_on_names_and_contents(tmp_path: Path, change: str) -> None:
    root = fill(tmp_path, a="1", b="2")
    before = scan(root).digest
    if change == "content":
        fill(root, a="2")
    elif change == "name":
        (root / "a").rename(root / "c")
    elif change == "place":
        (root / "sub").mkdir()
        (root / "a").rename(root / "sub" / "a")
    elif change == "more":
        fill(root, c="")
    else:
        (root / "a").unlink()
    assert scan(root).digest != before


def test_names_that_run_together_do_not_collide(tmp_path: Path) -> None:
    assert scan(fill(tmp_path / "x", ab="c")).digest != scan(fill(tmp_path / "y", a="bc")).digest


def test_a_single_file_is_a_folder_of_one(tmp_path: Path) -> None:
    root = fill(tmp_path, model_dot_npz="weights")
    file = scan(root / "model.npz")
    assert file == Folder(str(root / "model.npz"), scan(root).digest, 1, 7, is_file=True)
    assert names(root / "model.npz") == ["model.npz"]


def test_empty_folders_do_not_count(tmp_path: Path) -> None:
    root = fill(tmp_path, a="1")
    before = scan(root).digest
    (root / "empty" / "deep").mkdir(parents=True)
    assert scan(root).digest == before


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("", ["a.py", "data/x.csv", "data/y.csv", "log.txt"]),
        ("*.txt", ["a.py", "data/x.csv", "data/y.csv"]),
        ("data/", ["a.py", "log.txt"]),
        ("data", ["a.py", "log.txt"]),
        ("/x.csv", ["a.py", "data/x.csv", "data/y.csv", "log.txt"]),
        ("x.csv", ["a.py", "data/y.csv", "log.txt"]),
        ("data/*\n!data/y.csv", ["a.py", "data/y.csv", "log.txt"]),
        ("# a.py\n\n  \n", ["a.py", "data/x.csv", "data/y.csv", "log.txt"]),
        ("**/*.csv", ["a.py", "log.txt"]),
        ("*\n!a.py", ["a.py"]),
        ("log.txt\r\na.py\r\n", ["data/x.csv", "data/y.csv"]),
        ("\ufefflog.txt", ["a.py", "data/x.csv", "data/y.csv"]),
    ],
)
@pytest.mark.parametrize("file", [".amlignore", ".gitignore"])
def test_ignore_rules_are_gits(tmp_path: Path, file: str, rules: str, left: list[str]) -> None:
    root = fill(tmp_path, a_dot_py="", data__x_dot_csv="", data__y_dot_csv="", log_dot_txt="")
    (root / file).write_bytes(rules.encode())
    assert names(root) == left


def test_amlignore_stands_in_for_gitignore(tmp_path: Path) -> None:
    root = fill(tmp_path, a="", b="")
    (root / ".gitignore").write_text("a")
    (root / ".amlignore").write_text("b")
    assert names(root) == ["a"]


def test_editing_an_ignore_file_without_effect_changes_nothing(tmp_path: Path) -> None:
    root = fill(tmp_path, a="1")
    before = scan(root).digest
    (root / ".amlignore").write_text("# nothing\n")
    assert scan(root).digest == before


def test_an_ignore_file_of_a_folder_inside_is_a_file_like_any_other(tmp_path: Path) -> None:
    root = fill(tmp_path, sub__a="")
    (root / "sub" / ".gitignore").write_text("a")
    assert names(root) == ["sub/.gitignore", "sub/a"]


@pytest.mark.parametrize("rules", ["", "!__pycache__/\n!.git/\n!**/__pycache__/**\n"])
def test_git_and_bytecode_are_always_left_out(tmp_path: Path, rules: str) -> None:
    root = fill(tmp_path, a_dot_py="", _dot_git__config="", __pycache____x="", lib____pycache____y="")
    (root / "__pycache__").mkdir(exist_ok=True)
    (root / "__pycache__" / "a.pyc").write_text("")
    (root / ".amlignore").write_text(rules)
    assert not [name for name in names(root) if ".git/" in name or "__pycache__" in name]


def test_a_missing_folder_is_refused_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FolderError, match=r"code: no such folder or file \(looked in") as caught:
        scan("code")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("rules", ["", "*"])
def test_a_folder_without_files_is_refused(tmp_path: Path, rules: str) -> None:
    (tmp_path / ".amlignore").write_text(rules)
    with pytest.raises(FolderError, match="no file to upload"):
        scan(tmp_path)


@pytest.mark.parametrize("target", ["a", "sub", "nowhere"])
def test_symbolic_links_are_refused_by_name(tmp_path: Path, target: str) -> None:
    root = fill(tmp_path, a="1", sub__b="2")
    (root / "link").symlink_to(root / target)
    with pytest.raises(FolderError, match=r"link: a symbolic link.*put a real file in its place, or ignore it"):
        scan(root)


def test_what_is_ignored_may_be_odd(tmp_path: Path) -> None:
    root = fill(tmp_path, a="1")
    (root / "link").symlink_to("nowhere")
    (root / ".amlignore").write_text("link")
    assert names(root) == ["a"]


def test_a_link_to_nothing_in_place_of_the_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "code").symlink_to("nowhere")
    with pytest.raises(FolderError, match="it is a symbolic link to nothing"):
        scan(tmp_path / "code")


def test_pipes_and_sockets_are_refused_without_being_read(tmp_path: Path) -> None:
    fill(tmp_path, a="1")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FolderError, match="pipe: a socket, a pipe or a device"):
        scan(tmp_path)


def test_a_socket_in_place_of_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's whole path is limited to about 100 characters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(FolderError, match="neither a folder nor a file"):
            scan("s")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a", "sub"])
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    root = fill(tmp_path, a="1", sub__b="2")
    (root / name).chmod(0)
    try:
        with pytest.raises(FolderError, match=rf"{name}: cannot be (read|listed) \(Permission denied\)"):
            scan(root)
    finally:
        (root / name).chmod(0o700)


@pytest.mark.parametrize(
    "name", ["a\\b", "a\nb", "tab\t", "end.", "sub./a", "x" * 255 + "/" + "y" * 255 + "/" + "z" * 255]
)
def test_names_that_blob_storage_does_not_keep_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("1")
    with pytest.raises(FolderError, match="rename the file, or ignore it"):
        scan(tmp_path)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_text("1")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(FolderError, match="not UTF-8"):
        scan(tmp_path)


def test_composed_and_decomposed_names_are_one(tmp_path: Path) -> None:
    one = fill(tmp_path / "nfc", **{unicodedata.normalize("NFC", "grüße"): "1"})
    other = fill(tmp_path / "nfd", **{unicodedata.normalize("NFD", "grüße"): "1"})
    assert scan(one).digest == scan(other).digest


def test_an_ignore_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, a="1")
    (tmp_path / ".amlignore").write_bytes(b"\xff\xfe")
    with pytest.raises(FolderError, match=r"\.amlignore: cannot be read as UTF-8 text"):
        scan(tmp_path)


def test_an_ignore_file_with_a_wrong_rule_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, a="1")
    (tmp_path / ".amlignore").write_text("ok\n!\n")
    with pytest.raises(FolderError, match=r"\.amlignore"):
        scan(tmp_path)


def test_a_tree_may_be_deeper_than_python_nests_calls(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    inner = folder.joinpath(*["a"] * 340)
    inner.mkdir(parents=True)
    (inner / "x").write_text("1", encoding="utf-8")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        found = names(folder)
    finally:
        sys.setrecursionlimit(before)

    assert found == ["a/" * 340 + "x"]


def test_a_file_that_is_written_to_while_it_is_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"x" * 100)
    found = os.fstat

    def meanwhile(descriptor: int) -> os.stat_result:
        status = found(descriptor)
        with file.open("ab") as opened:
            opened.write(b"y")
        return status

    monkeypatch.setattr(os, "fstat", meanwhile)

    with pytest.raises(FolderError, match=r"growing: changed while it was read; run again when it is at rest"):
        scan(file)
