"""Captures of packets by page and API: who may, what is said, and what stands in the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.diagnostics import captures as module
from tests.diagnostics.test_captures import PACKET, Program, figures
from tests.web.house import Browser, House, run
from tests.web.test_pages import form


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(module, "_cards", lambda: ["eth0", "eth1"])
    made = Program(tmp_path)
    made.goes_on = True
    return made


def served(program: Program, script: Callable[[House, Browser], Awaitable[None]]) -> None:
    """Serve a house whose captures come from a program of ours."""

    async def whole(house: House) -> None:
        door = str(program.folder / "netdiag.sock")
        server = await asyncio.start_unix_server(program.serve, door)
        try:
            await script(house, await house.account("root", "admin"))
        finally:
            await house.captures.close()
            server.close()

    run(program.folder, whole)


async def some(house: House) -> None:
    """Wait until a packet has come."""
    async with asyncio.timeout(10):
        while not (house.captures.running and house.captures.running.packets):
            await asyncio.sleep(0.002)


def test_an_admin_captures_and_takes_the_file_home(program: Program) -> None:
    async def script(house: House, root: Browser) -> None:
        status, told = await root.ask("POST", "/api/v1/captures", {"hosts": ["192.0.2.7"]})
        assert (status, told["card"], told["ended"]) == (202, "eth0", None)
        place = f"/api/v1/captures/{told['id']}"
        await some(house)
        status, now = await root.ask("GET", place)
        assert (status, now["packets"], now["ending"]) == (200, 1, "")
        assert (await root.ask("POST", "/api/v1/captures", {}))[0] == 409
        assert (await root.ask("DELETE", place))[0] == 409
        status, over = await root.ask("POST", f"{place}/stop")
        assert (status, over["packets"], over["dropped"], over["ending"]) == (200, 2, 7, "stopped")
        status, file = await root.ask("GET", f"{place}/pcap")
        expected = 28 + 20 + 2 * len(PACKET) + 2 * len(figures(0))
        assert (status, len(file.encode("utf-8", "surrogateescape"))) == (200, expected)
        assert root.headers["Content-Type"] == "application/vnd.tcpdump.pcap"
        assert over["id"] in root.headers["Content-Disposition"]
        listed = (await root.ask("GET", "/api/v1/captures"))[1]
        assert [one["id"] for one in listed["captures"]] == [over["id"]]
        assert (listed["cards"], listed["limits"]["seconds"]) == (["eth0", "eth1"], 600)
        assert (await root.ask("DELETE", place))[0] == 204
        assert (await root.ask("GET", f"{place}/pcap"))[0] == 404
        noted = [one.action for one in await house.people.audit(50) if one.who == "root"]
        assert [word for word in noted[::-1] if word.startswith("capture.")] == [
            "capture.begin",
            *("capture.stop", "capture.download", "capture.delete"),
        ]

    served(program, script)


@pytest.mark.parametrize(
    ("order", "status", "words"),
    [
        ({"seconds": 601}, 400, "seconds"),
        ({"megabytes": 0}, 400, "megabytes"),
        ({"file": "/etc/passwd"}, 400, "file"),
        ({"card": "eth9"}, 409, "there is no 'eth9'"),
        ({"hosts": ["nobody"]}, 409, "is no address"),
    ],
)
def test_what_cannot_be_captured_is_said_by_its_field(
    program: Program, order: object, status: int, words: str
) -> None:
    async def script(house: House, root: Browser) -> None:
        answer, problem = await root.ask("POST", "/api/v1/captures", order)
        assert (answer, words in problem["detail"]) == (status, True), problem
        assert house.captures.kept() == []

    served(program, script)


def test_nobody_else_may(program: Program) -> None:
    async def script(house: House, root: Browser) -> None:
        for role in ("operator", "auditor"):
            other = await house.account(f"an-{role}", role)
            assert (await other.ask("POST", "/api/v1/captures", {}))[0] == 403
            assert (await other.ask("GET", "/diagnostics/captures"))[0] == 403
            assert "/diagnostics/captures" not in (await other.ask("GET", "/diagnostics"))[1]
        assert "/diagnostics/captures" in (await root.ask("GET", "/diagnostics"))[1]
        assert program.asked == []

    served(program, script)


def test_the_page_begins_shows_stops_and_removes(program: Program) -> None:
    async def script(house: House, root: Browser) -> None:
        page = "/diagnostics/captures"
        wrong = {"seconds": "60", "megabytes": "10", "hosts": "192.0.2.7 phone"}
        status, _, text = await form(root, house, page, **wrong)
        assert (status, "&#39;phone&#39; is no address" in text) == (409, True)
        assert 'value="192.0.2.7 phone"' in text
        status, _, text = await form(root, house, page, seconds="ten", megabytes="1")
        assert (status, "seconds" in text) == (409, True)
        good = {"seconds": "60", "megabytes": "10", "audio": "on", "ports": "20000-20100"}
        status, place, _ = await form(root, house, page, **good)
        assert (status, place) == (303, page)
        await some(house)
        assert program.asked[0]["audio"] == [[20000, 20100]]
        _, text = await root.ask("GET", page)
        assert "running" in text
        assert 'hx-trigger="every 1s"' in text
        (capture,) = house.captures.kept()
        assert (await form(root, house, f"{page}/{capture.id}/stop"))[0] == 303
        _, text = await root.ask("GET", page)
        assert f"/api/v1/captures/{capture.id}/pcap" in text
        assert (await form(root, house, f"{page}/{capture.id}/delete"))[0] == 303
        assert "Nothing was captured yet" in (await root.ask("GET", page))[1]
        assert (await form(root, house, f"{page}/{capture.id}/delete"))[0] == 404
        asked = await root.ask("GET", f"{page}?call=%3Cb%3E")
        assert 'value="&lt;b&gt;"' in asked[1]

    served(program, script)
