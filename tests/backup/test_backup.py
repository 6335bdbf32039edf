"""Backups: read whole or not at all, with nothing let out of its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from appliance.backup.archive import contents, read_backup, write_backup
from appliance.backup.envelope import MAGIC, PART, SALT, TAG, seal, unseal
from appliance.errors import LocalError
from appliance.settings import Settings

PHRASE = "three blind mice"


def sealed(content: bytes) -> bytes:
    target = io.BytesIO()
    seal(io.BytesIO(content), target, PHRASE)
    return target.getvalue()


def opened(data: bytes, phrase: str = PHRASE) -> bytes:
    target = io.BytesIO()
    unseal(io.BytesIO(data), target, phrase)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
def test_what_is_sealed_comes_back(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    data = sealed(content)
    assert opened(data) == content
    assert size < 100 or content[:100] not in data
    assert sealed(content) != data


def test_a_wrong_passphrase_and_every_damage_are_noticed() -> None:
    data = sealed(b"x" * (2 * PART + 5))
    head, part = len(MAGIC) + SALT, PART + TAG
    parts = [data[head : head + part], data[head + part : head + 2 * part], data[head + 2 * part :]]
    with pytest.raises(LocalError, match="the passphrase is wrong"):
        opened(data, "three blind cats")
    for damaged in (
        data[:-1],
        data[: head + part],
        data[: head + 2 * part],
        data[:head] + parts[1] + parts[0] + parts[2],
        data[:head] + parts[0] + parts[0] + parts[2],
        data + b"y",
        data[: head + part + 9] + b"!" + data[head + part + 10 :],
    ):
        with pytest.raises(LocalError, match="cannot be read"):
            opened(damaged)
    with pytest.raises(LocalError, match="no backup of Holdfast"):
        opened(b"PK" + data)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(LocalError, match="choose 12"):
        seal(io.BytesIO(b""), io.BytesIO(), "short")


def furnished(data: Path) -> Settings:
    for name, text in {
        "bundle.json": "{}",
        "core.db": "live",
        "core.snapshot": "copy of core",
        "admin.snapshot": "copy of admin",
        "bundles/3.json": "three",
        "tls/sip.key": "a key",
        "admin.token": "the token",
        "directory.db": "made anew",
    }.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    return Settings(data=data)


def test_everything_that_would_be_missed_is_in_it_and_comes_back(tmp_path: Path) -> None:
    settings, toml = furnished(tmp_path / "old"), tmp_path / "holdfast.toml"
    toml.write_text("sip_port = 5060\n")
    file = io.BytesIO()
    names = write_backup(settings, toml, file, PHRASE)
    assert "admin.token" not in names
    assert "directory.db" not in names
    new = tmp_path / "new"
    furnished(new)
    (new / "bundle.json").write_text("another")
    file.seek(0)
    assert sorted(read_backup(file, new, PHRASE, "aside")) == sorted(names)
    assert (new / "core.db").read_text() == "copy of core"
    assert (new / "tls" / "sip.key").read_text() == "a key"
    assert (new / "tls" / "sip.key").stat().st_mode & 0o777 == 0o600
    assert (new / "from-backup" / "holdfast.toml").read_text() == "sip_port = 5060\n"
    assert (new / "aside" / "bundle.json").read_text() == "another"
    assert (new / "aside" / "core.db").read_text() == "live"
    assert (new / "admin.token").read_text() == "the token"


def test_a_wrong_passphrase_touches_nothing(tmp_path: Path) -> None:
    settings, file = furnished(tmp_path), io.BytesIO()
    write_backup(settings, None, file, PHRASE)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    file.seek(0)
    with pytest.raises(LocalError):
        read_backup(file, tmp_path, "three blind cats", "aside")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "tls/../../evil", "tls/a/b", "x.txt"])
def test_nothing_gets_out_of_the_folder(tmp_path: Path, name: str) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("bundle.json"), io.BytesIO())
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    data = tmp_path / "data"
    with pytest.raises(LocalError, match="no part of a backup"):
        read_backup(io.BytesIO(sealed(plain.getvalue())), data, PHRASE, "aside")
    assert list(data.iterdir()) == []


def test_links_are_neither_followed_nor_restored(tmp_path: Path) -> None:
    settings = furnished(tmp_path)
    (tmp_path / "tls" / "link").symlink_to("/etc/passwd")
    assert "tls/link" not in [name for name, _ in contents(settings, None)]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as archive:
        link = tarfile.TarInfo("tls/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(LocalError, match="no part of a backup"):
        read_backup(io.BytesIO(sealed(plain.getvalue())), tmp_path / "data", PHRASE, "aside")
