"""Every route and every role: who may, who may not, and that nothing is left out."""

from __future__ import annotations

from pathlib import Path

from appliance.accounts import ROLES, SCOPES
from appliance.web.access import ACCESS, Access, Visitor
from tests.web.house import PASSWORD, TOKEN, Browser, House, run

ENDS_SESSION = ("DELETE /api/v1/session", "POST /logout")
"""Routes after which one has to log in again."""
FILLED = {
    "{id}": "none",
    "{name}": "nobody",
    "{extension}": "0000",
    "{file}": "none",
    "{orbit}": "7709",
}


def path_of(route: str) -> tuple[str, str]:
    method, path = route.split()
    for place, value in FILLED.items():
        path = path.replace(place, value)
    return method, path


async def passes(browser: Browser, route: str) -> bool:
    """Tell whether the gate lets a request through; what comes of it does not matter here."""
    method, path = path_of(route)
    status, content = await browser.ask(method, path)
    if status == 303 and "Set-Cookie" not in browser.headers:
        return not browser.headers["Location"].startswith(("/login", "/password"))
    if status == 403:
        assert "this is not for" in str(content) or "own password" in str(content)
    log_in = route in ("POST /api/v1/session", "POST /login")
    return status != 403 and (status != 401 or log_in)


def test_every_route_has_a_row_and_every_row_a_route(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        assert {f"{route.method} {route.path}" for route in house.routes()} == set(ACCESS)

    run(tmp_path, script)


def test_every_route_is_open_to_whom_the_table_names_and_to_nobody_else(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        anonymous = house.browser()
        stranger = Browser(house, "hf_no-such-token")
        local = Browser(house, TOKEN)
        for route, access in ACCESS.items():
            assert await passes(anonymous, route) is access.public, route
            assert await passes(stranger, route) is access.public, route
            if not route.endswith("/session/password"):
                assert await passes(local, route), route

    run(tmp_path, script)


def test_every_route_and_every_role(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for role in ROLES:
            browser = await house.account(f"an-{role}", role)
            for route, access in ACCESS.items():
                expected = access.public or role in access.roles
                assert await passes(browser, route) is expected, (role, route)
                if route in ENDS_SESSION:
                    await browser.log_in(f"an-{role}", PASSWORD)

    run(tmp_path, script)


def test_every_route_and_every_scope(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for scope in SCOPES:
            _, text = await house.people.add_token(scope, [scope], 1, "test")
            for route, access in ACCESS.items():
                expected = access.public or access.scope == scope
                assert await passes(Browser(house, text), route) is expected, (scope, route)

    run(tmp_path, script)


def test_before_the_own_password_is_chosen_nothing_else_is_open(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for route, access in ACCESS.items():
            browser = house.browser()
            await browser.log_in("admin", house.first_password())
            expected = access.public or access.before_own_password
            assert await passes(browser, route) is expected, route

    run(tmp_path, script)


def test_a_route_that_is_not_in_the_table_is_closed_to_the_admin_too() -> None:
    assert not Visitor("a", "admin").may(Access())
    assert not Visitor("a", "api", frozenset(SCOPES)).may(Access())
