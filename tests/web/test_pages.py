"""Every page as its text: for each role, with much data, without core, and with hostile names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from appliance.web.access import ACCESS
from appliance.web.door_pages import _own_path
from appliance.web.page import STATIC
from appliance.web.record_csv import guarded
from tests.fake_core import CALLS, PEERS, PHONES, STATUS, record
from tests.web.house import PASSWORD, Browser, House, run
from tests.web.test_site_api import with_group
from tests.web.tour import inner_pages

SHOWN = [path for path in inner_pages() if "{" not in path]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def form(browser: Browser, house: House, path: str, **fields: str) -> tuple[int, str, str]:
    """Send a form as a browser does; return status, where it leads and the text."""
    headers = {"Cookie": browser.cookie} if browser.cookie else {}
    fields.setdefault("csrf", browser.csrf)
    async with house.session.post(
        house.url + path, data=fields, headers=headers, allow_redirects=False
    ) as answer:
        if "Set-Cookie" in answer.headers:
            browser.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer.status, answer.headers.get("Location", ""), await answer.text()


def test_a_stranger_is_led_to_the_log_in_and_back(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.account("zoe", "admin")
        browser = house.browser()
        assert (await browser.ask("GET", "/phones?search=ana"))[0] == 303
        assert browser.headers["Location"] == "/login?next=/phones?search%3Dana"
        sent = {"name": "zoe", "password": "wrong", "next": "/phones?search=ana"}
        status, _, text = await form(browser, house, "/login", **sent)
        assert (status, "The name or the password is wrong" in text) == (401, True)
        status, there, _ = await form(browser, house, "/login", **sent | {"password": PASSWORD})
        assert (status, there) == (303, "/phones?search=ana")
        assert (await browser.ask("GET", "/phones"))[0] == 200

    run(tmp_path, script)


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", "x", "/\n"])
def test_no_log_in_leads_to_another_site(path: str) -> None:
    assert _own_path(path) == "/"


def test_the_first_log_in_chooses_a_password_before_anything_else(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser, first = house.browser(), house.first_password()
        await form(browser, house, "/login", name="admin", password=first, next="/")
        assert (await browser.ask("GET", "/"))[0] == 303
        assert browser.headers["Location"] == "/password"
        _, text = await browser.ask("GET", "/password")
        browser.csrf = re.findall(r'name="csrf" value="([^"]+)"', text)[0]
        new = {"old": first, "new": PASSWORD, "again": "another"}
        status, _, text = await form(browser, house, "/password", **new)
        assert (status, "the two new ones differ" in text) == (409, True)
        status, there, _ = await form(browser, house, "/password", **new | {"again": PASSWORD})
        assert (status, there) == (303, "/")
        assert (await browser.ask("GET", "/"))[0] == 200

    run(tmp_path, script)


@pytest.mark.parametrize("role", ["admin", "operator", "auditor"])
def test_every_page_is_shown_to_whom_it_is_for(tmp_path: Path, role: str) -> None:
    async def script(house: House) -> None:
        await house.sync.offer(with_group())
        browser = await house.account("zoe", role)
        for path in SHOWN:
            status, text = await browser.ask("GET", path)
            allowed = role in ACCESS[f"GET {path}"].roles
            assert status == (200 if allowed else 403), path
            assert ("</html>" in text) and ("<h1" in text), path
            assert not re.search(r'\son\w+=|style="|javascript:|<script>|<style', text), path
            foreign = re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*', text)
            assert not foreign, (path, foreign)

    run(tmp_path, script)


def test_the_next_drill_stands_with_the_mode(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        drill = {"id": "weekly", "at": 1_800_000_000.0, "minutes": 20, "who": ["300", "1001"]}
        browser = await house.account("ann", "auditor")
        assert "The drill" not in (await browser.ask("GET", "/survivability"))[1]
        house.core.drill = drill
        _, text = await browser.ask("GET", "/survivability")
        assert "The drill <b>weekly</b> begins 2027-01-" in text
        assert "for 20 min: 300, 1001." in text

    run(tmp_path, script)


def test_what_somebody_may_not_do_is_not_offered(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for role, offered in (("operator", True), ("auditor", False)):
            browser = await house.account(role, role)
            _, text = await browser.ask("GET", "/survivability")
            assert ("Begin the test" in text) is offered
            _, text = await browser.ask("GET", "/system")
            assert "/system/access" not in text

    run(tmp_path, script)


def test_without_core_every_page_says_so_and_none_fails(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        house.core.away = True
        for path in SHOWN:
            status, text = await browser.ask("GET", path)
            assert status in (200, 503), path
            assert "</html>" in text
        _, text = await browser.ask("GET", "/")
        assert "The signalling process does not answer" in text

    run(tmp_path, script)


def test_before_the_first_configuration_the_dashboard_says_what_to_do(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        empty = {"mode": "no_bundle", "bundle": None, "zones": []}
        house.core.status = STATUS | empty
        _, text = await browser.ask("GET", "/")
        assert "Not ready" in text
        assert "Connect the cloud" in text
        _, text = await browser.ask("GET", "/configuration")
        assert "holdfast bundle apply" in text

    run(tmp_path, script)


def test_names_from_the_wire_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHONES[0], "user_agent", HOSTILE)
    monkeypatch.setitem(PHONES[0], "name", HOSTILE)
    monkeypatch.setitem(CALLS[0], "steps", [HOSTILE])
    monkeypatch.setitem(PEERS[1], "reason", HOSTILE)
    monkeypatch.setitem(PEERS[1], "last_error", {"at": 1000.0, "text": f"again {HOSTILE}"})

    async def script(house: House) -> None:
        house.core.waiting = [record("r", caller=HOSTILE, caller_name=HOSTILE, reason=HOSTILE)]
        browser = await house.account("zoe", "admin")
        await house.browser().log_in(HOSTILE, "x")
        for path in (
            *SHOWN,
            "/records/r",
            f"/phones?search={HOSTILE}",
            f"/records?search={HOSTILE}",
        ):
            _, text = await browser.ask("GET", path)
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path

    run(tmp_path, script)


def test_htmx_gets_the_live_part_alone(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        browser.more = {"HX-Request": "true"}
        for path in ("/", "/phones", "/calls", "/survivability"):
            status, text = await browser.ask("GET", path)
            assert (status, "<html" in text) == (200, False)
        browser.cookie = ""
        assert (await browser.ask("GET", "/"))[0] == 401
        assert browser.headers["HX-Redirect"] == "/login"

    run(tmp_path, script)


def test_a_form_without_its_token_does_nothing(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        fields = {"scope": "site", "minutes": "5"}
        for csrf in ("", "guessed"):
            status, _, _ = await form(browser, house, "/survivability/test", csrf=csrf, **fields)
            assert (status, house.core.mode) == (403, "standby")
        status, there, _ = await form(browser, house, "/survivability/test", **fields)
        assert (status, there, house.core.mode) == (303, "/survivability", "testing")
        assert "The test has begun" in (await browser.ask("GET", "/survivability"))[1]
        assert "The test has begun" not in (await browser.ask("GET", "/survivability"))[1]

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"scope": "some", "who": "", "minutes": "5"}, "name at least one"),
        ({"scope": "some", "who": "9999", "minutes": "5"}, "no extension"),
        ({"scope": "site", "minutes": "soon"}, "choose 1 to 480"),
        ({"scope": "site"}, "choose 1 to 480"),
    ],
)
def test_a_form_that_makes_no_sense_says_what_is_wrong(
    tmp_path: Path, fields: dict[str, str], word: str
) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "operator")
        status, _, text = await form(browser, house, "/survivability/test", **fields)
        assert (status, word in text, house.core.mode) == (409, True, "standby")

    run(tmp_path, script)


def test_an_account_and_a_token_are_made_and_shown_once(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("root", "admin")
        await form(browser, house, "/system/accounts", name="Zoe", role="auditor")
        _, text = await browser.ask("GET", "/system/access")
        password = re.findall(r'id="secret">([^<]+)<', text)[0]
        assert (await house.browser().log_in("zoe", password))[0] == 200
        assert password not in (await browser.ask("GET", "/system/access"))[1]
        await form(browser, house, "/system/tokens", name="mon", scope_read="1", days="7")
        _, text = await browser.ask("GET", "/system/access")
        token = re.findall(r'id="secret">([^<]+)<', text)[0]
        assert (await Browser(house, token).ask("GET", "/api/v1/mode"))[0] == 200
        status, _, _ = await form(browser, house, "/system/accounts/zoe/remove", typed="zo")
        assert (status, house.people.account("zoe") is None) == (409, False)
        await form(browser, house, "/system/accounts/zoe/remove", typed="zoe")
        assert house.people.account("zoe") is None

    run(tmp_path, script)


def test_records_are_searched_by_text_and_day_and_leave_as_csv(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        house.core.waiting = [
            record("a", caller="1001", caller_name="=cmd()", started=1_700_000_000.0),
            record("b", caller="1003", started=1_600_000_000.0),
        ]
        browser = await house.account("zoe", "auditor")
        _, text = await browser.ask("GET", "/records?search=1003")
        assert ("/records/b" in text, "/records/a" in text) == (True, False)
        _, text = await browser.ask("GET", "/records?since=2023-01-01")
        assert ("/records/b" in text, "/records/a" in text) == (False, True)
        assert "write the day like" in (await browser.ask("GET", "/records?since=x"))[1]
        status, text = await browser.ask("GET", "/records.csv")
        assert (status, browser.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert ",'=cmd()," in text
        assert (await browser.ask("GET", "/records/none"))[0] == 404

    run(tmp_path, script)


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_is_a_formula(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert guarded("1001") == "1001"


def test_a_group_is_tried_on_the_page(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.sync.offer(with_group())
        browser = await house.account("zoe", "auditor")
        _, text = await browser.ask("GET", "/groups?group=3000&answers=1001")
        assert "answered by 1001" in text
        _, text = await browser.ask("GET", "/groups?group=3000&answers=77")
        assert "no user has the extension" in text

    run(tmp_path, script)


def test_static_files_are_ours_and_nothing_else_is_sent(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = house.browser()
        status, _ = await browser.ask("GET", "/static/holdfast.css")
        assert (status, "immutable" in browser.headers["Cache-Control"]) == (200, True)
        for path in ("/static/none.js", "/static/..%2fpage.py", "/static/%2e%2e%2fpage.py"):
            assert (await browser.ask("GET", path))[0] == 404

    run(tmp_path, script)


def test_what_is_vendored_is_what_was_published() -> None:
    folder = STATIC / "vendor"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    files = {file.name for file in folder.iterdir()} - {"SHA256SUMS", "LICENSES"}
    assert set(sums) == files
    for name, expected in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    # Published with htmx.org 2.0.11 and uplot 1.6.32.
    assert sums["htmx-2.0.11.min.js"].startswith("d6fdc75f")
    assert sums["uplot-1.6.32.min.js"].startswith("19c8d4c6")


def test_every_answer_forbids_what_a_page_does_not_need(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        for path in ("/", "/login", "/nowhere", "/api/v1/status", "/static/holdfast.js"):
            await browser.ask("GET", path)
            policy = browser.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert browser.headers["X-Content-Type-Options"] == "nosniff"

    run(tmp_path, script)
