"""Files that survive a power cut."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.errors import Unavailable
from appliance.files import write_durably


def test_a_file_is_made_with_its_folder_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    write_durably(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_new_content_is_on_disk_before_it_gets_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    file = tmp_path / "file"
    file.write_bytes(b"old")
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append(f"sync {'folder' if folder else 'file'} with {file.read_bytes()!r} in place")
        sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_durably(file, b"new")
    assert steps == [
        "sync file with b'old' in place",
        "rename",
        "sync folder with b'new' in place",
    ]


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_disk_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Unavailable, match="file cannot be written: No space left on device"):
        write_durably(file, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_bytes(b"mine")
    (tmp_path / f".file.{os.getpid()}.new").symlink_to(victim)
    write_durably(file, b"new")
    assert (victim.read_bytes(), file.read_bytes()) == (b"mine", b"new")
