"""Files appear complete or not at all, and nothing but a regular file is replaced."""

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from narrower.errors import OutputError
from narrower.store.files import check_output, is_no_space, replacing, write_json, write_text


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def _link(path: Path) -> None:
    path.with_name("target").write_text("kept", encoding="utf-8")
    path.symlink_to("target")


MAKE: dict[str, Callable[[Path], object]] = {
    "a directory": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "a device": _device,
    "a symbolic link": _link,
}


@pytest.mark.parametrize("what", MAKE)
def test_only_a_regular_file_is_replaced(tmp_path: Path, what: str) -> None:
    path = tmp_path / "there"
    MAKE[what](path)
    before = path.lstat()
    for attempt in (check_output, lambda path: write_text(path, "new")):
        with pytest.raises(OutputError, match=f"{path}: is {what}"):
            attempt(path)
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert not list(tmp_path.glob(".there*"))


@pytest.mark.parametrize("name", ["n" * 300, "file/below", "a\0b", "", ".", ".."])
def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for attempt in (check_output, lambda path: write_text(path, "new")):
        with pytest.raises(OutputError):
            attempt(Path(f"{tmp_path}/{name}"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_that_cannot_be_written_is_named_before_the_work() -> None:
    with pytest.raises(OutputError, match="nothing can be written to /proc/self"):
        check_output(Path("/proc/self/none/result"))  # read-only for root as well


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".suffix")
    write_text(path, "whole")
    assert path.read_text(encoding="utf-8") == "whole"


def test_a_file_that_is_not_completed_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text(f"half {1 / 0}", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written_as_any_new_file(tmp_path: Path) -> None:
    usual, path = tmp_path / "usual", tmp_path / "ours"
    usual.touch()
    with replacing(path) as partial:
        partial.unlink()
        partial.touch(0o600)  # as safetensors does
    assert path.stat().st_mode == usual.stat().st_mode


def test_a_full_disk_is_recognised_behind_what_libraries_make_of_it() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    hidden = RuntimeError("writing failed")
    hidden.__cause__ = full
    assert is_no_space(hidden)
    assert is_no_space(ValueError("I/O error: No space left on device (os error 28)"))
    assert not is_no_space(OSError(errno.EACCES, os.strerror(errno.EACCES)))
