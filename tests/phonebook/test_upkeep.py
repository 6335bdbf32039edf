"""The directory follows the bundle, and the last good one stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.errors import Unavailable
from appliance.phonebook.upkeep import FILE, Directory
from tests.phonebook.office import CONTACTS, bundle


def run(folder: Path, script: Callable[[Directory], Awaitable[None]]) -> None:
    async def whole() -> None:
        directory = Directory(folder)
        await script(directory)
        await directory.stop()

    asyncio.run(whole())


async def names(directory: Directory, asked: str) -> list[str]:
    return [entry.name for entry in await directory.search(asked, 50)]


def test_there_is_none_before_the_first_bundle(tmp_path: Path) -> None:
    async def script(directory: Directory) -> None:
        with pytest.raises(Unavailable, match="no bundle has come"):
            await directory.search("ana", 50)

    run(tmp_path, script)


def test_a_new_bundle_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async def script(directory: Directory) -> None:
        directory.apply(bundle())
        await directory.settled()
        assert await names(directory, "taxi") == ["Taxi"]
        assert [entry.name for entry in await directory.spelt("8294", 50)] == ["Taxi"]
        for _ in range(3):  # bundles that come while one is built: the last one counts
            directory.apply(bundle(contacts=CONTACTS[:1]))
        await directory.settled()
        assert await names(directory, "taxi") == []
        assert [file.name for file in tmp_path.iterdir()] == [FILE]

    run(tmp_path, script)


def test_the_same_people_are_not_written_again(tmp_path: Path) -> None:
    async def script(directory: Directory) -> None:
        directory.apply(bundle())
        await directory.settled()
        written = (tmp_path / FILE).stat().st_ino
        directory.apply(bundle(version=2))
        await directory.settled()
        assert (tmp_path / FILE).stat().st_ino == written

    run(tmp_path, script)
    run(tmp_path, script)


def test_a_disk_that_takes_nothing_leaves_the_last_one(tmp_path: Path) -> None:
    async def script(directory: Directory) -> None:
        directory.apply(bundle())
        await directory.settled()
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()
        directory.apply(bundle(contacts=()))
        await directory.settled()
        assert "cannot be written" in directory.failure
        assert await names(directory, "taxi") == ["Taxi"]

    run(tmp_path, script)
