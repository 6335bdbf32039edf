"""Pictures of every page for docs/screenshots: `python -m tests.web.shots FOLDER`.

The site is made up; the core answers from a script, the pages are the real ones.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import async_playwright

from appliance.adapters.tls import ensure_certificate
from appliance.bundle import Bundle
from appliance.captured import Capture
from appliance.cloud.sample import make_sample
from tests.fake_core import CALLS, PEERS, PHONES, STATUS, record
from tests.messages import messages
from tests.web.chromium import ARGUMENTS, EXECUTABLE
from tests.web.house import PASSWORD, House, serve
from tests.web.pictured import PicturedCore

PAGES = {
    "dashboard": "/",
    "outage": "/?outage",
    "survivability": "/survivability",
    "phones": "/phones",
    "readiness": "/readiness",
    "waiting": "/waiting",
    "trunk": "/trunk?from=1001&number=1002",
    "sites": "/sites",
    "emergency": "/emergency?from=1001",
    "calls": "/calls",
    "call": "/calls/c1",
    "records": "/records",
    "record": "/records/r3",
    "groups": "/groups?group=7090&keys=1&at=2026-11-30T10:00&answers=1004",
    "directory": "/directory?search=an",
    "configuration": "/configuration",
    "diagnostics": "/diagnostics",
    "captures": "/diagnostics/captures",
    "system": "/system",
    "access": "/system/access",
    "logs": "/system/logs",
    "audit": "/system/audit",
    "password": "/password",
}
IN_AN_OUTAGE = frozenset({"outage", "phones", "calls", "call", "waiting"})
"""What is pictured as it is in an outage; all else in standby."""
PICTURE: dict[str, Any] = {"type": "jpeg", "quality": 75}
VIEWS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 960}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 960}, "color_scheme": "dark"},
    "small": {"viewport": {"width": 360, "height": 900}, "color_scheme": "light"},
}


def furnish(house: House) -> bytes:
    """Fill the core with a made-up site; return its bundle."""
    now = house.wall = time.time()
    bundle = make_sample(60, 300).bundle
    zones = [
        _zone("primary", now, 0.021),
        _zone("secondary", now, 0.034),
    ]
    status = STATUS | {
        "since": now - 7 * 86400,
        "uptime": 7 * 86400.0,
        "zones": zones,
        "phones": {"registered": 0, "expected": 60},
        "users": {"registered": 0, "total": 60},
        "calls": 3,
        "bundle": {"version": 12, "site": "chicago", "issued": ""},
        "messages": 88_214,
        "faults": 0,
        "ports": 8,
        "guard": {"banned": [{"source": "192.0.2.7", "seconds": 700, "username": "1001"}]},
    }
    ensure_certificate(house.folder / "tls", ["192.0.2.10"])
    house.core.status = status
    if isinstance(house.core, PicturedCore):
        house.core.users = bundle.users
    house.directory.apply(bundle)
    house.core.page = {"total": 60, "rows": _phones(bundle)}
    house.core.calls = [
        _call("c1", now - 74, "1004", "1011"),
        _call("c2", now - 12, "1020", "3000"),
        _call("c3", now - 40, "1015", "1009") | {"parked": "7701"},
    ]
    house.core.messages = {"c1": messages(now - 78), "r3": messages(now - 3600 * 4)}
    house.core.sites = _sites(now)
    house.core.waiting = [_record(index, now) for index in range(9)]
    house.rooms.diary.take([zone | {"history": _day(now)} for zone in zones])
    return msgspec.json.encode(bundle)


def _zone(name: str, now: float, rtt: float) -> dict[str, Any]:
    plain = STATUS["zones"][0] | {"id": name, "host": f"{name}.cloud.example", "rtt": rtt}
    return plain | {"since": now - 86400 * 2, "history": []}


def _sites(now: float) -> list[dict[str, Any]]:
    east, north = PEERS
    served = {"mode": "survivability", "mode_since": now - 900, "way": "direct"}
    old = {**east["certificate"], "expires": now + 12 * 86400}
    west = {"site": "west", "code": "84", "host": "holdfast.west.example.com", "certificate": old}
    young = {**east["certificate"], "expires": now + 200 * 86400}
    stood = {"since": now - 86400 * 3, "mode_since": now - 86400 * 2}
    return [
        east | stood | {"certificate": young},
        north | {"since": now - 500, "last_error": {**north["last_error"], "at": now - 20}},
        east | west | served | {"since": now - 7200, "calls": 3, "addresses": ["192.0.2.84 up"]},
    ]


def _day(now: float) -> list[dict[str, Any]]:
    samples = []
    for minute in range(24 * 60, 0, -1):
        away = 620 < minute < 655
        wave = 0.02 + 0.004 * ((minute // 45) % 5) + 0.001 * (minute % 7)
        samples.append({"at": now - minute * 60, "rtt": None if away else wave})
    return samples


def _phones(bundle: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, user in enumerate(bundle.users):
        plain = {"user": user.id, "name": user.name, "extension": user.extension}
        if index % 3:
            agent = ("Yealink SIP-T46U 108.86.0.20", "PolyVVX-450-UA/6.4.3", "Cisco-CP-8851-3PCC")
            there = {"address": f"192.0.2.{20 + index}", "user_agent": agent[index % 3]}
            rows.append(PHONES[0] | plain | there)
        else:
            rows.append(plain | {"registered": False})
    return rows


def _call(name: str, begun: float, caller: str, callee: str) -> dict[str, Any]:
    plain = CALLS[0] | {"id": name, "caller": caller, "callee": callee, "answered_by": callee}
    steps = [f"dialled {callee}", f"ring {callee} for 60 s", f"answered by {callee}"]
    heard = CALLS[0]["from_caller"]
    return plain | {"started": begun, "answered": begun + 4, "steps": steps, "from_callee": heard}


def _record(index: int, now: float) -> Any:
    outcome = ("answered", "busy", "answered", "no_answer")[index % 4]
    begun = now - 3600 * (index + 1)
    status = {"busy": 486, "no_answer": 480}.get(outcome, 200)
    more: dict[str, Any] = {
        "outcome": outcome,
        "status": status,
        "steps": ["dialled", "ring for 60 s", outcome],
    }
    if outcome == "answered":
        more |= {"answered": begun + 5, "ended": begun + 125, "answered_by": f"10{index + 20}"}
    return record(f"r{index}", caller=f"10{index + 10}", started=begun, **more)


def _captures(now: float) -> list[Capture]:
    plain: dict[str, Any] = {"by": "admin", "card": "eth0", "megabytes": 10}
    phone: dict[str, Any] = {"hosts": ["192.0.2.31"], "packets": 412, "octets": 301_216}
    over: dict[str, Any] = {"ended": now - 8880, "ending": "time"}
    call: dict[str, Any] = {"hosts": [], "call": "c1", "audio": True, "packets": 6130}
    return [
        Capture(**plain, **phone, **over, id="a" * 12, begun=now - 9000, seconds=120),
        Capture(**plain, **call, id="b" * 12, begun=now - 41, seconds=300, octets=774_144),
    ]


async def bring(house: House) -> None:
    """Have the site's configuration in force, one before it, and one that is held."""
    house.captures._found = _captures(time.time())
    first = msgspec.json.decode(furnish(house), type=Bundle)
    moved = msgspec.structs.replace(first.users[0], name="Ana Moved")
    second = msgspec.structs.replace(first, version=2, users=(moved, *first.users[1:]))
    third = msgspec.structs.replace(second, version=3, contacts=second.contacts[:40])
    for bundle in (first, second, third):
        await house.sync.offer(msgspec.json.encode(bundle), "cloud")
    await house.directory.settled()


async def take(house: House, folder: Path) -> None:
    """Take a picture of every page in every view."""
    await bring(house)
    await house.people.choose_password("admin", house.first_password(), PASSWORD)
    await house.people.add("maria", "operator")
    house.examiner.start((), "maria")
    await house.examiner.done()
    await house.people.add_token("prometheus", ["metrics"], 365, "admin")
    assert isinstance(house.core, PicturedCore)
    standby, outage = house.core.status, house.core.outage()
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        for view, options in VIEWS.items():
            context = await browser.new_context(ignore_https_errors=True, **options)
            page = await context.new_page()
            await page.goto(f"{house.url}/login")
            await page.screenshot(path=folder / f"login-{view}.jpg", **PICTURE)
            await page.get_by_label("Name").fill("admin")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Log in").click()
            for name, path in PAGES.items():
                house.core.status = outage if name in IN_AN_OUTAGE else standby
                house.rooms.live.forget()
                await page.goto(house.url + path, wait_until="load")
                await page.wait_for_timeout(400)
                await page.screenshot(path=folder / f"{name}-{view}.jpg", **PICTURE)
            await context.close()
        await browser.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(serve(Path(place), lambda house: take(house, folder), PicturedCore()))


if __name__ == "__main__":
    main()
