"""The HTTPS API: what it answers, to whom, and how it says no."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from appliance.adapters.admin_store import AdminStore
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.cloud.sync import BundleSync
from appliance.settings import Settings
from appliance.web import api as api_module
from appliance.web.api import BODY_LIMIT, Api
from appliance.web.app import make_application, serving
from appliance.web.gate import Gate
from appliance.web.people import People
from tests.cloud.reference_trial import site_bundle
from tests.fake_core import CALLS, EVIDENCE, HISTORY, PHONES, STATUS, FakeCore, record

TOKEN = "the-token"


class Asker:
    """Asks the API; `token` is what it shows."""

    def __init__(self, session: aiohttp.ClientSession, url: str, core: FakeCore) -> None:
        self.session = session
        self.url = url
        self.core = core
        self.token = f"Bearer {TOKEN}"
        self.headers: Any = {}

    async def __call__(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": self.token} if self.token else {}
        async with self.session.request(
            method, self.url + path, data=body, headers=headers
        ) as answer:
            self.headers = answer.headers
            data = await answer.read()
            expected = "application/problem+json" if answer.status >= 400 else "application/json"
            if method != "HEAD":
                assert answer.content_type == expected
            return answer.status, msgspec.json.decode(data) if data else None


def run(folder: Path, script: Callable[[Asker], Awaitable[None]]) -> None:
    async def whole() -> None:
        core = FakeCore()
        certificate, key = ensure_certificate(folder, ["127.0.0.1"])
        sync = BundleSync(Settings(data=folder), None, core)
        gate = Gate(People(AdminStore(folder / "admin.db")), TOKEN)
        application = make_application(gate, Api(core, sync).routes())
        tls = server_context(certificate, key)
        trust = ssl.create_default_context(cafile=certificate)
        async with serving(application, "127.0.0.1", 0, tls) as port:
            connector = aiohttp.TCPConnector(ssl=trust)
            async with aiohttp.ClientSession(connector=connector) as session:
                await script(Asker(session, f"https://127.0.0.1:{port}/api/v1/", core))

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("zones", STATUS["zones"]),
        ("phones", PHONES),
        ("calls", CALLS),
        ("mode/history", HISTORY),
        ("evidence", EVIDENCE),
        (
            "mode",
            {
                "mode": "standby",
                "since": 1000.0,
                "reason": "both zones answer",
                "next_drill": None,
            },
        ),
        ("records", []),
    ],
)
def test_core_is_asked_and_its_answer_told(tmp_path: Path, path: str, content: Any) -> None:
    async def script(ask: Asker) -> None:
        assert await ask(path) == (200, content)
        assert ask.headers["Cache-Control"] == "no-store"
        assert ask.headers["Server"] == "Holdfast"

    run(tmp_path, script)


def test_the_status_has_the_cloud_in_it(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        _, status = await ask("status")
        assert status["mode"] == "standby"
        assert status["sync"]["bundle"]["version"] is None

    run(tmp_path, script)


def test_records_are_limited_filtered_and_found_by_id(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        ask.core.waiting = [record("call/1", started=1000.0), record("b", started=2000.0)]
        assert [one["id"] for one in (await ask("records?since=1500"))[1]] == ["b"]
        assert len((await ask("records?limit=1"))[1]) == 1
        assert (await ask("records/call%2F1"))[1]["id"] == "call/1"
        assert (await ask("records/none"))[0] == 404

    run(tmp_path, script)


@pytest.mark.parametrize("query", ["limit=x", "limit=0", "limit=1001", "since=x", "limit=1e400"])
def test_a_question_that_makes_no_sense_gets_400(tmp_path: Path, query: str) -> None:
    async def script(ask: Asker) -> None:
        status, problem = await ask(f"records?{query}")
        assert status == problem["status"] == 400
        assert problem["detail"].split()[0] == query.split("=")[0]

    run(tmp_path, script)


@pytest.mark.parametrize(
    "token",
    ["", "Bearer", "Bearer ", "Bearer the-toke", "Bearer the-token2", "Basic the-token", "ü"],
)
@pytest.mark.parametrize("path", ["status", "bundle", "nowhere", "../etc/passwd"])
def test_without_the_token_nothing_is_told_not_even_what_exists(
    tmp_path: Path, token: str, path: str
) -> None:
    async def script(ask: Asker) -> None:
        ask.token = token
        status, problem = await ask(path)
        assert status == 401
        assert problem["title"] == "Unauthorized"
        assert ask.headers["WWW-Authenticate"] == 'Bearer realm="holdfast"'
        assert not ask.core.asked

    run(tmp_path, script)


def test_every_route_wants_the_token(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        ask.token = ""
        for route in Api(ask.core, None).routes():  # type: ignore[arg-type]
            path = route.path.removeprefix("/api/v1/").replace("{id}", "x")
            assert (await ask(path, route.method))[0] == 401
        assert not ask.core.asked

    run(tmp_path, script)


def test_unknown_paths_and_methods_are_told_as_problems(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        status, problem = await ask("nowhere")
        assert (status, problem["title"]) == (404, "Not Found")
        status, problem = await ask("status", "DELETE")
        assert (status, problem["title"]) == (405, "Method Not Allowed")
        assert ask.headers["Allow"] == "GET,HEAD"

    run(tmp_path, script)


def test_a_core_that_is_away_is_503_and_when_it_is_back_all_is_well(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        ask.core.away = True
        status, problem = await ask("status")
        assert (status, problem["title"]) == (503, "Not available now")
        assert "is it running?" in problem["detail"]
        assert ask.headers["Retry-After"] == "5"
        assert (await ask("bundle"))[1]["core"] is None
        ask.core.away = False
        assert (await ask("status"))[0] == 200

    run(tmp_path, script)


def test_a_core_that_hangs_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "ANSWER_TIMEOUT", 0.02)

    async def script(ask: Asker) -> None:
        monkeypatch.setattr(ask.core, "call", lambda name, **_: asyncio.sleep(60))
        assert (await ask("status"))[0] == 503

    run(tmp_path, script)


def test_a_mistake_of_ours_shows_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(ask: Asker) -> None:
        async def broken(name: str, **_: Any) -> Any:
            raise ZeroDivisionError("a secret of ours")

        monkeypatch.setattr(ask.core, "call", broken)
        status, problem = await ask("status")
        assert status == 500
        assert "secret" not in str(problem)

    run(tmp_path, script)


def test_a_bundle_is_applied(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        data = msgspec.json.encode(site_bundle(version=3))
        status, answer = await ask("bundle", "POST", data)
        assert (status, answer["applied"], answer["stored"]["version"]) == (200, True, 3)
        assert ask.core.version == 3
        assert (await ask("bundle", "POST", data))[1]["applied"] is False
        assert (await ask("bundle"))[1]["core"] == {"version": 3}

    run(tmp_path, script)


def test_a_bad_bundle_is_refused_with_every_problem(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        status, problem = await ask("bundle", "POST", b'{"version": 0, "zones": []}')
        assert (status, problem["title"]) == (422, "Bundle refused")
        assert [one["path"] for one in problem["problems"]] == ["version", "site", "zones"]

    run(tmp_path, script)


def test_a_body_beyond_the_limit_is_413(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        assert (await ask("bundle", "POST", b" " * (BODY_LIMIT + 1)))[0] == 413
        assert (await ask("mode"))[0] == 200

    run(tmp_path, script)


def test_a_body_that_comes_too_slowly_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "BODY_TIMEOUT", 0.05)

    async def trickle() -> Any:
        yield b"{"
        await asyncio.sleep(5)

    async def script(ask: Asker) -> None:
        status, _ = await ask("bundle", "POST", trickle())
        assert status == 408

    run(tmp_path, script)


def test_without_a_cloud_there_is_nothing_to_sync(tmp_path: Path) -> None:
    async def script(ask: Asker) -> None:
        status, problem = await ask("sync", "POST")
        assert status == 409
        assert "set cloud_url" in problem["detail"]

    run(tmp_path, script)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async def script(ask: Asker) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with pytest.raises(aiohttp.ClientError):
            await ask.session.get(ask.url + "status", ssl=context)

    run(tmp_path, script)
