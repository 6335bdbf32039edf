"""Bundles that come as deltas: what they make is used only if it is what the cloud has."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from appliance.bundle import decode
from appliance.cloud.client import CloudClient, FetchedDelta
from appliance.cloud.delta import HEAD, difference
from appliance.cloud.reference.control import ask
from appliance.cloud.signature import signed
from appliance.cloud.sync import BundleSync
from appliance.errors import Unavailable
from tests.cloud.reference_trial import reference_cloud, settings_at, site_bundle
from tests.cloud.small_cloud import Answer, status
from tests.cloud.test_sync import Trial, bundle, run
from tests.cloud.test_versions import KEY, OTHER, pinned
from tests.fake_core import FakeCore

ONE, TWO = bundle(1, users=40), bundle(2, users=41)


def made(old: bytes, new: bytes, **headers: str) -> Answer:
    """Answer with a delta as a cloud should, but for these headers; an empty one is left out."""
    delta = difference(old, new)
    assert delta is not None
    return answering(delta, new, **headers)


def answering(delta: bytes, new: bytes, **headers: str) -> Answer:
    digest = base64.b64encode(hashlib.sha256(new).digest()).decode()
    right = {"ETag": '"2"', "IM": "gdiff", "Delta-Base": '"1"'}
    right["Repr-Digest"] = f"sha-256=:{digest}:"
    right |= {name.replace("_", "-"): text for name, text in headers.items()}
    told = {name: text for name, text in right.items() if text}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=226, body=delta, headers=told)

    return answer


def asked_for_deltas(t: Trial) -> list[bool]:
    return [request.headers.get("A-IM") == "gdiff" for request in t.cloud.asked]


def test_a_delta_gives_the_new_bundle_octet_for_octet(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        t.cloud.answers = [made(ONE, TWO)]
        assert await t.sync.pull()
        assert t.served == (2, 2)
        assert t.file.read_bytes() == TWO
        assert t.sync.state.by_delta
        assert t.sync.state.octets is not None
        assert t.sync.state.octets < len(TWO) // 4
        assert [kept.version for kept in t.sync.versions()] == [1]
        t.serve(TWO, '"2"')
        assert not await t.sync.pull()
        assert t.cloud.asked[-1].headers["If-None-Match"] == '"2"'
        assert asked_for_deltas(t) == [False, True, True]

    run(tmp_path, script)


@pytest.mark.parametrize(
    "headers", [{}, {"Delta_Base": ""}, {"IM": "GDIFF"}, {"Delta_Base": 'W/"1"'}]
)
def test_what_the_standard_leaves_open_is_taken(tmp_path: Path, headers: dict[str, str]) -> None:
    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        t.cloud.answers = [made(ONE, TWO, **headers)]
        assert await t.sync.pull()
        assert t.sync.state.by_delta

    run(tmp_path, script)


def test_a_proxy_that_packs_answers_does_not_cost_the_deltas(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path, site_bundle(40)) as cloud:
            settings = settings_at(cloud, tmp_path)
            async with CloudClient(settings) as client:
                weak = f'W/"{cloud.site.etag}"'
                new = msgspec.json.encode(site_bundle(40, version=2))
                (tmp_path / "site.json").write_bytes(new)
                fetched = await client.fetch_bundle("hq", [weak], base=weak)
                assert isinstance(fetched, FetchedDelta)
                assert hashlib.sha256(cloud.site.body).digest() == fetched.digest

    asyncio.run(script())


async def cut_short(request: web.Request) -> web.StreamResponse:
    """Begin a delta and cut the connection."""
    assert request.transport is not None
    digest = base64.b64encode(hashlib.sha256(TWO).digest()).decode()
    head = f'HTTP/1.1 226 IM Used\r\nIM: gdiff\r\nETag: "2"\r\nRepr-Digest: sha-256=:{digest}:'
    request.transport.write(f"{head}\r\nContent-Length: 500\r\n\r\nabc".encode())
    request.transport.close()
    return web.Response()


async def swelling(request: web.Request) -> web.StreamResponse:
    """Send a delta of a few KiB, packed, that has 8 MiB."""
    plain = await answering(bytes(8 << 20), TWO)(request)
    assert isinstance(plain, web.Response)
    plain.enable_compression(web.ContentCoding.gzip)
    return plain


BAD = {
    "made from another": (made(ONE[5000:] + ONE[:5000], TWO), "makes another file"),
    "says another base": (made(ONE, TWO, Delta_Base='"0"'), "starts from"),
    "another format": (made(ONE, TWO, IM="vcdiff"), "format is 'vcdiff'"),
    "no digest": (made(ONE, TWO, Repr_Digest=""), "no Repr-Digest"),
    "another digest": (made(ONE, TWO, Repr_Digest="md5=:CZxSvL51t5Xyov4aOXWbGQ==:"), "no Repr-"),
    "cut off": (answering((difference(ONE, TWO) or b"")[:-9], TWO), "ends too early"),
    "cut off by the network": (cut_short, "payload"),
    "beyond the file": (answering(HEAD + b"\xfc\x7f\x00\x00\x00\x01\x00", TWO), "outside"),
    "swells": (swelling, "larger than 4,194,304"),
    "no delta": (answering(TWO, TWO), "no GDIFF"),
    "too many": (answering(HEAD + b"\xf9\x00\x00\xff" * 300_000 + b"\x00", TWO), "commands"),
}


@pytest.mark.parametrize(("bad", "words"), BAD.values(), ids=BAD.keys())
def test_for_a_delta_of_no_use_the_whole_is_fetched_at_once(
    tmp_path: Path, bad: Answer, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        t.serve(TWO, '"2"')
        t.cloud.answers = [bad]
        assert await t.sync.pull()
        assert words in caplog.text
        assert words in t.sync.state.no_delta
        assert t.file.read_bytes() == TWO
        assert not t.sync.state.by_delta
        assert t.sync.state.octets == len(TWO)
        assert asked_for_deltas(t) == [False, True, False]
        assert not t.sync.state.problems
        t.serve(bundle(3, users=40), '"3"')
        t.cloud.answers = [made(TWO, bundle(3, users=40), Delta_Base='"2"', ETag='"3"')]
        assert await t.sync.pull()  # the next one may be of use again
        assert (t.sync.state.by_delta, t.sync.state.no_delta) == (True, "")

    run(tmp_path, script)


def test_a_delta_that_makes_what_no_pinned_key_signed_is_not_used(tmp_path: Path) -> None:
    one, two = signed(ONE, KEY), signed(TWO, KEY)

    async def script(t: Trial) -> None:
        pinned(t)
        t.serve(one)
        await t.sync.pull()
        t.serve(two, '"2"')
        t.cloud.answers = [made(one, signed(TWO, OTHER))]
        assert await t.sync.pull()
        assert t.file.read_bytes() == two
        assert not t.sync.state.by_delta
        assert not t.sync.state.problems

    run(tmp_path, script)


def test_when_neither_delta_nor_whole_is_of_use_the_old_one_stays(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        t.cloud.answers = [BAD["no delta"][0], status(503)]
        with pytest.raises(Unavailable, match="503"):
            await t.sync.pull()
        assert t.file.read_bytes() == ONE
        assert t.sync.state.failure

    run(tmp_path, script)


def test_a_delta_that_was_not_asked_for_is_no_answer(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [made(ONE, TWO)]
        with pytest.raises(Unavailable, match="226"):
            await t.sync.pull()

    run(tmp_path, script)


def test_what_comes_by_delta_is_held_released_and_gone_back_from_as_ever(tmp_path: Path) -> None:
    few, more = bundle(2, users=12), bundle(3, users=13)

    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        t.cloud.answers = [made(ONE, few)]
        assert not await t.sync.pull()
        held = t.sync.state.held
        assert held is not None
        assert (held.version, held.etag) == (2, '"2"')
        t.cloud.answers = [made(ONE, few)]  # the base is still what is in force
        assert not await t.sync.pull()
        await t.sync.release(2)
        assert t.file.read_bytes() == few
        t.cloud.answers = [made(few, more, Delta_Base='"2"', ETag='"3"')]
        assert await t.sync.pull()
        assert (t.served, t.sync.state.by_delta) == ((3, 3), True)
        await t.sync.roll_back(2)
        t.serve(more, '"3"')
        assert not await t.sync.pull()
        t.serve(bundle(4, users=13), '"4"')
        assert await t.sync.pull()
        assert asked_for_deltas(t)[-2:] == [False, False]  # what lies here is not what came last
        assert t.served == (4, 4)

    run(tmp_path, script)


def test_a_delta_may_bring_nothing_older(tmp_path: Path) -> None:
    old = bundle(1, users=39)

    async def script(t: Trial) -> None:
        t.serve(TWO)
        await t.sync.pull()
        t.cloud.answers = [made(TWO, old)]
        with pytest.raises(Exception, match="older than 2"):
            await t.sync.pull()
        assert t.file.read_bytes() == TWO

    run(tmp_path, script)


def test_a_bundle_an_admin_brought_is_no_base(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(ONE)
        await t.sync.pull()
        await t.sync.offer(TWO)
        t.serve(bundle(3, users=41), '"3"')
        await t.sync.pull()
        assert asked_for_deltas(t) == [False, False]
        t.serve(bundle(4, users=41), '"4"')
        await t.sync.pull()
        assert asked_for_deltas(t)[-1]

    run(tmp_path, script)


def test_the_reference_cloud_sends_a_delta_or_the_whole(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path, site_bundle(40)) as cloud:
            settings = settings_at(cloud, tmp_path, bundle_keys=(cloud.access.bundle_key,))
            async with CloudClient(settings) as client:
                sync = BundleSync(settings, client, FakeCore())

                async def change(version: int, users: int) -> bool:
                    new = msgspec.json.encode(site_bundle(users, version=version))
                    (tmp_path / "site.json").write_bytes(new)
                    assert await sync.pull()
                    assert settings.bundle_file.read_bytes() == cloud.site.body
                    return sync.state.by_delta

                assert await sync.pull()
                assert await change(2, users=41)
                assert sync.state.octets is not None
                assert sync.state.octets < 1000
                await asyncio.to_thread(ask, cloud.access, "/control/api", {"broken_delta": True})
                assert not await change(3, users=42)
                await asyncio.to_thread(ask, cloud.access, "/control/api", {})
                for version in range(4, 12):  # more than it keeps
                    new = msgspec.json.encode(site_bundle(42, version=version))
                    (tmp_path / "site.json").write_bytes(new)
                    cloud.site.refresh()
                assert not await change(12, users=41)
                assert await change(13, users=42)
            assert decode(settings.bundle_file.read_bytes()).version == 13

    asyncio.run(script())
