"""First log-in, sessions, forged forms, guessed passwords, tokens, and what the audit log has."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts import check_name, check_password
from appliance.errors import LocalError
from appliance.web.people import FIRST
from appliance.web.sessions import IDLE, LONGEST
from tests.web.house import PASSWORD, TOKEN, Browser, House, run


async def audited(house: House) -> list[tuple[str, str, str]]:
    return [(entry.who, entry.action, entry.target) for entry in await house.people.audit(100)]


def test_the_first_password_works_once_and_has_to_be_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(house: House) -> None:
        first = house.first_password()
        assert str(house.password_file) in caplog.text and first not in caplog.text
        assert stat.S_IMODE(house.password_file.stat().st_mode) == 0o600
        browser = house.browser()
        assert (await browser.log_in(FIRST, first))[1]["must_change"] is True
        status, problem = await browser.ask("GET", "/api/v1/status")
        assert (status, problem["detail"]) == (403, "choose an own password first")
        change = {"old": first, "new": PASSWORD}
        assert (await browser.ask("POST", "/api/v1/session/password", change))[0] == 204
        assert (await browser.ask("GET", "/api/v1/status"))[0] == 200
        assert not house.password_file.exists()
        assert (await house.browser().log_in(FIRST, first))[0] == 401
        assert (await house.browser().log_in(FIRST, PASSWORD))[0] == 200

    run(tmp_path, script)


def test_accounts_outlive_the_process(tmp_path: Path) -> None:
    async def first(house: House) -> None:
        await house.account("zoe", "operator")

    async def second(house: House) -> None:
        browser = house.browser()
        assert (await browser.log_in("Zoe", PASSWORD))[0] == 200
        told = (await browser.ask("GET", "/api/v1/session"))[1]
        assert told == {"name": "zoe", "role": "operator", "must_change": False}

    run(tmp_path, first)
    run(tmp_path, second)


def test_the_cookie_is_bound_to_this_host_and_to_https(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "auditor")
        cookie = browser.headers["Set-Cookie"]
        assert cookie.startswith("__Host-holdfast=")
        for part in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie

    run(tmp_path, script)


def test_a_session_ends_by_log_out_by_silence_and_after_a_shift(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "auditor")
        assert (await browser.ask("DELETE", "/api/v1/session"))[0] == 204
        assert (await browser.ask("GET", "/api/v1/mode"))[0] == 401
        await browser.log_in("zoe", PASSWORD)
        house.now += IDLE + 1
        assert (await browser.ask("GET", "/api/v1/mode"))[0] == 401
        await browser.log_in("zoe", PASSWORD)
        begun = house.now
        while house.now < begun + LONGEST:
            house.now += IDLE - 1
            status, _ = await browser.ask("GET", "/api/v1/mode")
            assert status == (200 if house.now <= begun + LONGEST else 401)

    run(tmp_path, script)


@pytest.mark.parametrize(
    "more",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "guessed"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_what_another_sites_page_sends_is_refused(tmp_path: Path, more: dict[str, str]) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        browser.more = more
        assert (await browser.ask("POST", "/api/v1/accounts", {"name": "x", "role": "admin"}))[
            0
        ] == 403
        assert house.people.account("x") is None

    run(tmp_path, script)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8443", "", "box.example.evil", "["])
def test_a_name_that_is_not_ours_is_no_way_in(tmp_path: Path, host: str) -> None:
    async def script(house: House) -> None:
        browser = Browser(house, TOKEN)
        browser.more = {"Host": host}
        assert (await browser.ask("GET", "/api/v1/mode"))[0] in (400, 421)
        for ours in (
            "box.example",
            "BOX.example:8443",
            "localhost",
            "192.0.2.1",
            "[2001:db8::1]:1",
        ):
            browser.more = {"Host": ours}
            assert (await browser.ask("GET", "/api/v1/mode"))[0] == 200

    run(tmp_path, script)


def test_who_guesses_waits_longer_each_time_and_is_not_even_heard(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.account("zoe", "admin")
        browser, waits = house.browser(), []
        while len(waits) < 5:
            status, _ = await browser.log_in("zoe", "wrong password")
            if status == 429:
                waits.append(int(browser.headers["Retry-After"]))
                assert (await browser.log_in("zoe", PASSWORD))[0] == 429
                house.now += waits[-1]
        assert waits == sorted(waits)
        assert waits[-1] > waits[0]
        assert (await browser.log_in("zoe", PASSWORD))[0] == 200
        assert (await browser.log_in("zoe", "wrong password"))[0] == 401

    run(tmp_path, script)


def test_the_owner_gets_in_within_seconds_while_others_guess(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for _ in range(50):
            house.gate.patience.failed("192.0.2.66", "zoe")
        assert house.gate.patience.wait("192.0.2.66", "zoe") == 60
        assert house.gate.patience.wait("192.0.2.1", "zoe") == 10
        assert house.gate.patience.wait("192.0.2.1", "someone") == 0

    run(tmp_path, script)


def test_unknown_names_and_wrong_passwords_are_told_alike(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.account("zoe", "admin")
        known = await house.browser().log_in("zoe", "wrong password")
        unknown = await house.browser().log_in("nobody", "wrong password")
        assert known == unknown

    run(tmp_path, script)


def test_a_changed_role_or_password_ends_the_sessions(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        admin, zoe = await house.account("root", "admin"), await house.account("zoe", "admin")
        assert (await admin.ask("PATCH", "/api/v1/accounts/zoe", {"role": "auditor"}))[0] == 204
        assert (await zoe.ask("GET", "/api/v1/mode"))[0] == 401
        await zoe.log_in("zoe", PASSWORD)
        _, given = await admin.ask("POST", "/api/v1/accounts/zoe/password")
        assert (await zoe.ask("GET", "/api/v1/mode"))[0] == 401
        assert (await zoe.log_in("zoe", PASSWORD))[0] == 401
        assert (await zoe.log_in("zoe", given["password"]))[1]["must_change"] is True

    run(tmp_path, script)


def test_the_last_admin_cannot_be_lost(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        status, problem = await local.ask("DELETE", f"/api/v1/accounts/{FIRST}")
        assert (status, "only admin" in problem["detail"]) == (409, True)
        status, _ = await local.ask("PATCH", f"/api/v1/accounts/{FIRST}", {"role": "auditor"})
        assert status == 409

    run(tmp_path, script)


def test_a_token_has_its_scopes_until_it_expires_or_is_removed(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        asked = {"name": "monitoring", "scopes": ["read"], "days": 2}
        status, made = await local.ask("POST", "/api/v1/tokens", asked)
        assert (status, made["token"][:3]) == (201, "hf_")
        assert made["token"] not in str(await local.ask("GET", "/api/v1/tokens"))
        script_of = Browser(house, made["token"])
        assert (await script_of.ask("GET", "/api/v1/mode"))[0] == 200
        assert (await script_of.ask("POST", "/api/v1/sync"))[0] == 403
        house.wall += 2 * 86400 + 1
        assert (await script_of.ask("GET", "/api/v1/mode"))[0] == 401
        house.wall -= 86400
        assert (await local.ask("DELETE", f"/api/v1/tokens/{made['id']}"))[0] == 204
        assert (await script_of.ask("GET", "/api/v1/mode"))[0] == 401

    run(tmp_path, script)


def test_the_audit_log_has_who_did_what_with_before_and_after(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        admin = await house.account("root", "admin")
        await admin.ask("POST", "/api/v1/accounts", {"name": "Zoe", "role": "auditor"})
        await admin.ask("PATCH", "/api/v1/accounts/zoe", {"role": "operator"})
        await house.browser().log_in("zoe", "wrong password")
        latest = (await house.people.audit(2))[1]
        assert (latest.before, latest.after) == ({"role": "auditor"}, {"role": "operator"})
        assert (await audited(house))[:3] == [
            ("zoe", "session.denied", ""),
            ("root", "account.role", "zoe"),
            ("root", "account.add", "zoe"),
        ]
        _, told = await admin.ask("GET", "/api/v1/audit?limit=1")
        assert [entry["action"] for entry in told] == ["session.denied"]
        number = told[0]["number"]
        _, older = await admin.ask("GET", f"/api/v1/audit?limit=1&before={number}")
        assert [entry["action"] for entry in older] == ["account.role"]
        assert PASSWORD not in str(await house.people.audit(100))

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", "accounts", {"name": "a b", "role": "admin"}, 409, "name"),
        ("POST", "accounts", {"name": "zoe", "role": "king"}, 409, "role"),
        ("POST", "accounts", {"name": "zoe"}, 400, "role"),
        ("POST", "accounts", {"name": "zoe", "role": "admin", "x": 1}, 400, "x"),
        ("POST", "accounts", {"name": 7, "role": "admin"}, 400, "name"),
        ("POST", "tokens", {"name": "t", "scopes": []}, 409, "scopes"),
        ("POST", "tokens", {"name": "t", "scopes": ["all"]}, 409, "scopes"),
        ("POST", "tokens", {"name": "t", "scopes": ["read"], "days": 1000}, 409, "days"),
        ("POST", "tokens", {"name": " ", "scopes": ["read"]}, 409, "name"),
        ("PATCH", "accounts/nobody", {"role": "admin"}, 409, "nobody"),
        ("DELETE", "tokens/none", None, 409, "none"),
        ("GET", "audit?limit=0", None, 400, "limit"),
        ("GET", f"audit?before={2**70}", None, 400, "before"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    tmp_path: Path, method: str, path: str, body: Any, status: int, word: str
) -> None:
    async def script(house: House) -> None:
        got, problem = await Browser(house, TOKEN).ask(method, f"/api/v1/{path}", body)
        assert (got, word in problem["detail"]) == (status, True)

    run(tmp_path, script)


@pytest.mark.parametrize(
    "password",
    ["short", "a" * 201, "aaaaaaaaaaaaaaaa", "my name is zoe!!", "holdfast-holdfast"],
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(LocalError, match="password: "):
        check_password(password, "zoe")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "<b>", "é", "x" * 65, "\n"])
def test_names_that_would_harm_a_page_or_a_path_are_refused(name: str) -> None:
    with pytest.raises(LocalError, match="name: "):
        check_name(name)


def test_without_a_disk_nobody_logs_in_and_the_command_line_works(tmp_path: Path) -> None:
    (tmp_path / "admin.db").mkdir()

    async def script(house: House) -> None:
        assert (await house.browser().log_in(FIRST, PASSWORD))[0] == 503
        assert (await Browser(house, TOKEN).ask("GET", "/api/v1/status"))[0] == 200

    run(tmp_path, script)
