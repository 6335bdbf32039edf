"""The directory over the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.phonebook.office import bundle
from tests.web.house import TOKEN, Browser, House, run


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("search=m%C3%BCll", ["João Müller"]),
        ("search=7000", ["Night desk"]),
        ("keys=685", ["João Müller"]),
        ("search=ana&limit=1", ["Ana Silva"]),
        ("search=nobody", []),
    ],
)
def test_whoever_is_meant(tmp_path: Path, question: str, names: list[str]) -> None:
    async def script(house: House) -> None:
        house.directory.apply(bundle())
        await house.directory.settled()
        ask = Browser(house, TOKEN).ask
        status, found = await ask("GET", f"/api/v1/directory?{question}")
        assert (status, [entry["name"] for entry in found]) == (200, names)

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ("", 400, "give either"),
        ("search=a&keys=2", 400, "give either"),
        ("search=", 409, "say what to look for"),
        ("keys=xyz", 409, "spells nothing"),
        ("search=ana&limit=0", 400, "1 to 200"),
        ("search=ana&limit=many", 400, "must be a number"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, question: str, status: int, words: str) -> None:
    async def script(house: House) -> None:
        house.directory.apply(bundle())
        await house.directory.settled()
        ask = Browser(house, TOKEN).ask
        answer = await ask("GET", f"/api/v1/directory?{question}")
        assert answer[0] == status
        assert words in answer[1]["detail"]

    run(tmp_path, script)


def test_before_the_first_bundle(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        ask = Browser(house, TOKEN).ask
        status, problem = await ask("GET", "/api/v1/directory?search=ana")
        assert (status, problem["detail"]) == (503, "there is no directory yet: no bundle has come")

    run(tmp_path, script)
