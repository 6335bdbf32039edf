"""The bundle that pages show: read once, and compared once with another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from appliance.errors import LocalError
from appliance.settings import Settings
from appliance.web import comparing
from appliance.web import stored as module
from appliance.web.comparing import Compared
from appliance.web.stored import Stored
from tests.cloud.reference_trial import site_bundle


def written(file: Path, version: int, users: int = 4) -> Path:
    file.write_bytes(msgspec.json.encode(site_bundle(users, version=version)))
    return file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Tell which files are read."""
    done: list[Path] = []
    plain = comparing.read
    monkeypatch.setattr(module, "read", lambda file: (done.append(file), plain(file))[1])
    return done


def test_the_bundle_in_force_is_read_once_until_the_file_changes(
    tmp_path: Path, reads: list[Path]
) -> None:
    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        with pytest.raises(LocalError, match="no configuration yet"):
            await stored.bundle()
        file = written(stored.file, 1)
        assert [(await stored.bundle()).version for _ in range(3)] == [1, 1, 1]
        written(file, 22)
        assert (await stored.bundle()).version == 22
        assert reads == [file, file]

    asyncio.run(script())


def test_what_has_just_been_put_in_force_is_not_read_at_all(
    tmp_path: Path, reads: list[Path]
) -> None:
    stored = Stored(Settings(data=tmp_path))
    written(stored.file, 1)
    stored.take(site_bundle(version=1))
    assert (asyncio.run(stored.bundle()).version, reads) == (1, [])


def test_two_versions_are_compared_once_however_many_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []
    plain = comparing.compare
    monkeypatch.setattr(
        comparing, "compare", lambda old, *more: (done.append(old), plain(old, *more))[1]
    )

    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        old = written(tmp_path / "old.json", 1)
        written(stored.file, 2, users=6)
        found = await asyncio.gather(*[stored.changes(old) for _ in range(5)])
        assert {one.total for one in found} == {2}
        assert done == [old]
        assert await stored.changes(tmp_path / "none.json") == Compared([], 0)

    asyncio.run(script())


def test_who_does_not_wait_finds_it_done_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        old = written(tmp_path / "old.json", 1)
        written(stored.file, 2, users=5)
        task = asyncio.create_task(stored.changes(old))
        await asyncio.sleep(0)
        task.cancel()
        assert (await stored.changes(old)).total == 1
        assert len(stored._compared) == 1

    asyncio.run(script())


def test_a_comparison_that_failed_is_tried_again(tmp_path: Path) -> None:
    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        written(stored.file, 2)
        old = tmp_path / "old.json"
        old.write_text("{")
        with pytest.raises(LocalError):
            await stored.changes(old)
        await asyncio.sleep(0)
        assert not stored._compared

    asyncio.run(script())


def test_only_so_many_comparisons_are_remembered(tmp_path: Path) -> None:
    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        written(stored.file, 2)
        for number in range(12):
            await stored.changes(written(tmp_path / f"{number}.json", 1, users=number + 1))
        assert len(stored._compared) == module.COMPARISONS

    asyncio.run(script())


def test_large_ones_are_compared_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "SMALL", 0)
    monkeypatch.setattr(comparing, "compare", None)  # of this process

    async def script() -> None:
        stored = Stored(Settings(data=tmp_path))
        old = written(tmp_path / "old.json", 1)
        written(stored.file, 2, users=6)
        found = await stored.changes(old)
        assert (found.total, found.changes[0].path) == (2, "users.user1005")
        old.write_text("{")
        with pytest.raises(LocalError, match=r"old.json cannot be compared: .*the file ends"):
            await stored.changes(old)

    asyncio.run(script())


def test_it_is_indexed_for_trials_once_for_each_version(tmp_path: Path) -> None:
    async def script() -> None:
        settings = Settings(data=tmp_path)
        stored = Stored(settings)
        written(settings.bundle_file, 1)
        first, again = await asyncio.gather(stored.premises(), stored.premises())
        assert first is again is await stored.premises()
        assert first.bundle is await stored.bundle()
        written(settings.bundle_file, 2, users=5)
        assert (await stored.premises()).bundle.version == 2
        stored.take(site_bundle(3, version=3))
        assert (await stored.premises()).bundle.version == 3
        settings.bundle_file.unlink()
        with pytest.raises(LocalError, match="no configuration yet"):
            await stored.premises()

    asyncio.run(script())
