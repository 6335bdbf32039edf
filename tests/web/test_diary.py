"""A zone's day in slots of five minutes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from appliance.adapters.admin_store import AdminStore
from appliance.web.diary import SLOT, SLOTS, Diary
from tests.fake_core import FakeCore

NOON = 1_800_000_000.0 // SLOT * SLOT


def zone(*samples: tuple[float, float | None]) -> list[dict[str, Any]]:
    history = [{"at": NOON + at, "rtt": rtt} for at, rtt in samples]
    return [{"id": "a", "history": history}]


def diary(folder: Path, now: float = NOON) -> Diary:
    return Diary(FakeCore(), AdminStore(folder / "admin.db"), lambda: now)


def test_a_slot_has_the_share_of_answers_and_their_times(tmp_path: Path) -> None:
    book = diary(tmp_path)
    book.take(zone((1, 0.01), (6, None), (11, 0.03), (16, 0.02)))
    ribbon = book.ribbon("a")
    assert len(ribbon) == SLOTS
    last = ribbon[-1]
    assert (last["at"], last["share"], last["longest"]) == (NOON, 0.75, 0.03)
    assert abs(last["rtt"] - 0.02) < 1e-9
    assert ribbon[-2] == {"at": NOON - SLOT, "share": None, "rtt": None, "longest": None}


def test_no_sample_counts_twice(tmp_path: Path) -> None:
    book = diary(tmp_path)
    book.take(zone((1, 0.01), (6, 0.01)))
    book.take(zone((1, 0.01), (6, 0.01), (11, None)))
    assert book.ribbon("a")[-1]["share"] == 0.667


def test_a_day_outlives_the_process(tmp_path: Path) -> None:
    async def whole() -> None:
        book = diary(tmp_path)
        book.take(zone((-SLOT, 0.01), (1, None)))
        await book.save()
        again = diary(tmp_path)
        await again.begin()
        assert [slot["share"] for slot in again.ribbon("a")[-2:]] == [1.0, 0.0]
        later = diary(tmp_path, NOON + SLOTS * SLOT)
        await later.begin()
        assert {slot["share"] for slot in later.ribbon("a")[1:]} == {None}

    asyncio.run(whole())


def test_a_zone_nobody_knows_has_an_empty_day(tmp_path: Path) -> None:
    assert {slot["share"] for slot in diary(tmp_path).ribbon("none")} == {None}
