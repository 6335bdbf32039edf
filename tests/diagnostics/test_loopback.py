"""Audio there and back on a real socket, and how it is judged."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from appliance.bundle import Zone
from appliance.bundle.dscp import marks
from appliance.cloud.reference.echo import Echo
from appliance.diagnostics import loopback
from appliance.diagnostics.checks import audio, double_nat, marked, path_mtu, sip_alg
from appliance.diagnostics.checks.double_nat import judge
from appliance.diagnostics.checks.sip_alg import compare
from appliance.diagnostics.loopback import Heard, loop_back
from appliance.sip.framing import parse
from appliance.sip.message import Request, Response
from tests.diagnostics.test_checks import around, look

EF = 46


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "LATE", 0.1)
    monkeypatch.setattr(loopback, "SPACING", 0.002)
    monkeypatch.setattr(audio, "PACKETS", 20)


async def echoed(folder: Path, check: Any) -> Any:
    echo = Echo("127.0.0.1")
    echo.start()
    try:
        zone = Zone(id="a", host="127.0.0.1", port=9, echo_port=echo.port)
        return await check(around(folder, zone))
    finally:
        echo.stop()


def test_the_echo_tells_with_which_mark_audio_came_and_gives_it_back() -> None:
    async def script() -> Heard:
        echo = Echo("127.0.0.1")
        echo.start()
        try:
            return await loop_back(Zone(id="a", host="127.0.0.1", echo_port=echo.port), 10, EF)
        finally:
            echo.stop()

    heard = asyncio.run(script())
    assert (heard.loss, len(heard.round_trips)) == (0.0, 10)
    assert (dict(heard.there), dict(heard.back)) == ({EF: 10}, {EF: 10})
    assert all(0 < took < 1 for took in heard.round_trips)


def test_the_echo_answers_audio_only() -> None:
    async def script() -> None:
        echo = Echo("127.0.0.1")
        echo.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            line.connect(("127.0.0.1", echo.port or 0))
            for other in (b"OPTIONS sip:a SIP/2.0\r\n\r\n", b"\x80", b"\x80" * 1501, b""):
                line.send(other)
            line.send(b"\x80\0\0\1" + bytes(160))
            await asyncio.sleep(0.05)
            assert len(line.recv(2000)) == 164
            with pytest.raises(BlockingIOError):
                line.recv(2000)
        echo.stop()
        echo.stop()

    asyncio.run(script())


def test_a_good_way_is_heard_well_and_its_marks_are_kept(tmp_path: Path) -> None:
    told = asyncio.run(echoed(tmp_path, audio.run))
    assert (
        told.verdict == "ok" and "MOS 4." in told.evidence[0] and "0.0 % lost" in told.evidence[0]
    )
    told = asyncio.run(echoed(tmp_path, marked.run))
    assert (told.verdict, told.text) == ("ok", "marks are kept there and back")


def test_a_port_that_sends_nothing_back_is_wrong(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind(("127.0.0.1", 0))
        zone = Zone(id="a", host="127.0.0.1", port=9, echo_port=quiet.getsockname()[1])
        told = look(audio, around(tmp_path, zone))
        assert told.verdict == "fail" and "no packet came back" in told.text
        assert look(marked, around(tmp_path, zone)).verdict == "warn"


def test_zones_without_an_echo_need_none(tmp_path: Path) -> None:
    for check in (audio, marked):
        told = look(check, around(tmp_path))
        assert told.verdict == "not_applicable" and "echo_port" in told.text


@pytest.mark.parametrize(
    ("lost", "jitter", "took", "verdict"),
    [(0, 0.001, 0.04, "ok"), (60, 0.001, 0.04, "warn"), (150, 0.05, 0.4, "fail")],
)
def test_audio_is_judged_by_its_mos(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lost: int,
    jitter: float,
    took: float,
    verdict: str,
) -> None:
    async def heard(zone: Zone, packets: int, dscp: int) -> Heard:
        return Heard(200, [took] * (200 - lost), jitter=jitter)

    monkeypatch.setattr(audio, "loop_back", heard)
    told = look(audio, around(tmp_path, Zone(id="a", host="192.0.2.1", echo_port=9)))
    assert told.verdict == verdict, told


@pytest.mark.parametrize(
    ("there", "back", "words"),
    [(0, 0, "arrives there as 0"), (None, 8, "arrives here as 8"), (None, None, "are kept")],
)
def test_a_mark_that_is_lost_is_told_with_the_way_it_is_lost_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: int | None,
    back: int | None,
    words: str,
) -> None:
    async def heard(zone: Zone, packets: int, dscp: int) -> Heard:
        made = Heard(packets, [0.01] * packets)
        made.there[dscp if there is None else there] += packets
        made.back[dscp if back is None else back] += packets
        return made

    monkeypatch.setattr(marked, "loop_back", heard)
    surroundings = around(tmp_path, Zone(id="a", host="192.0.2.1", echo_port=9))
    told = look(marked, surroundings)
    assert words in told.text and (told.verdict == "ok") == (there is None and back is None)
    assert surroundings.bundle is not None
    assert any(f"DSCP {marks(surroundings.bundle).media}" in line for line in told.evidence)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (["192.168.1.1", "203.0.113.9", ""], "ok", "no second NAT"),
        (["192.168.1.1", "192.168.1.254", "203.0.113.9"], "ok", "no second NAT"),
        (["192.168.1.1", "10.0.0.1", "203.0.113.9"], "warn", "2 private networks"),
        (["192.168.1.1", "100.64.0.1"], "warn", "the provider does NAT"),
    ],
)
def test_a_second_nat_is_seen_by_its_private_network(
    found: list[str], verdict: str, words: str
) -> None:
    told = judge("192.168.1.10", found, " → ".join(found))
    assert (told.verdict, words in told.text) == (verdict, True), told


def test_the_way_out_is_followed_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(double_nat, "way_out", lambda: None)
    assert look(double_nat, around(tmp_path)).verdict == "not_applicable"


def test_the_largest_packet_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size, verdict in ((1500, "ok"), (1492, "ok"), (1300, "warn")):
        monkeypatch.setattr(path_mtu, "largest_packet", lambda host, size=size: size)
        assert look(path_mtu, around(tmp_path)).verdict == verdict


ASKED = (
    b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:40000;branch=z9hG4bKx;rport\r\n"
    b"From: <sip:holdfast@a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def answered(before: bytes = b"", after: bytes = b"") -> tuple[Request, Response]:
    request = parse(ASKED)
    assert isinstance(request, Request)
    copied = ASKED.replace(b"OPTIONS sip:a SIP/2.0", b"SIP/2.0 200 OK").replace(before, after)
    answer = parse(copied)
    assert isinstance(answer, Response)
    return request, answer


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"10.0.0.5:40000", b"203.0.113.4:1025", "Via (10.0.0.5:40000 became 203.0.113.4:1025)"),
        (b"Call-ID: c", b"Call-ID: other", "Call-ID"),
    ],
)
def test_sip_that_is_rewritten_on_the_way_is_noticed(
    before: bytes, after: bytes, words: str
) -> None:
    told = compare("a", *answered(before, after))
    assert told.verdict == "fail" and words in told.text
    assert compare("a", *answered(b"rport", b"rport=40000;received=203.0.113.4")).verdict == "ok"


def test_a_zone_that_speaks_tls_only_cannot_be_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_alg, "PATIENCE", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind(("127.0.0.1", 0))
        zone = Zone(id="a", host="127.0.0.1", port=quiet.getsockname()[1])
        assert look(sip_alg, around(tmp_path, zone)).verdict == "not_applicable"
