"""What is asked of the executable that makes packets, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from appliance.diagnostics import packets
from appliance.diagnostics.check import Surroundings
from appliance.diagnostics.checks import dhcp, doubled
from appliance.diagnostics.ground import Way
from appliance.diagnostics.packets import NotPermitted, ask_netdiag
from appliance.errors import Unavailable
from appliance.settings import Settings
from netdiag.asked import Asked, read
from netdiag.command import main
from netdiag.dhcp import _options
from netdiag.refusal import Refused
from tests.diagnostics.test_checks import around


def test_a_good_request_is_read() -> None:
    line = '{"probe": "arp", "card": "eth0.20", "address": "192.0.2.7", "seconds": 2}'
    assert read(line) == Asked("arp", "eth0.20", "192.0.2.7", 2.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "no JSON"),
        ("[]", "no object"),
        ('{"probe": "ping", "card": "eth0"}', "probe: one of"),
        ('{"probe": "dhcp", "card": "../x"}', "card: the name"),
        ('{"probe": "dhcp", "card": "a234567890123456"}', "card: the name"),
        ('{"probe": "dhcp", "card": "eth0", "seconds": 900}', "seconds: 0.5 to 15"),
        ('{"probe": "dhcp", "card": "eth0", "seconds": true}', "seconds: a number"),
        ('{"probe": "arp", "card": "eth0", "address": "127.0.0.1"}', "nobody's"),
        ('{"probe": "arp", "card": "eth0", "address": "169.254.1.1"}', "nobody's"),
        ('{"probe": "arp", "card": "eth0"}', "an IPv4 address"),
        ('{"probe": "dhcp", "card": "eth0", "target": "x"}', "unknown: target"),
    ],
)
def test_a_bad_request_is_refused_with_what_is_wrong(
    line: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match=words):
        read(line)
    monkeypatch.setattr("sys.stdin", io.StringIO(line + "\n"))
    assert main([]) == 2
    assert words in json.loads(capsys.readouterr().out)["failure"]


def test_words_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arp", "eth0"]) == 2
    assert "usage: holdfast-netdiag" in json.loads(capsys.readouterr().out)["failure"]


def test_dhcp_options_are_cut_out_of_any_octets() -> None:
    assert _options(b"\x35\x01\x02\x00\x42\x03abc\xff\x42\x01z") == [(53, b"\2"), (66, b"abc")]
    assert _options(b"\x42\xffab") == [(66, b"ab")]
    assert _options(b"\x42") == []


def asked_by_socket(folder: Path, answer: bytes) -> dict[str, Any]:
    async def script() -> dict[str, Any]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readline())
            writer.write(answer)
            writer.close()

        heard: list[bytes] = []
        server = await asyncio.start_unix_server(serve, str(folder / "netdiag.sock"))
        try:
            told = await ask_netdiag(Settings(run=folder), probe="dhcp", card="eth0")
        finally:
            server.close()
        assert json.loads(heard[0]) == {"probe": "dhcp", "card": "eth0"}
        return told

    return asyncio.run(script())


def test_where_there_is_a_service_it_is_asked(tmp_path: Path) -> None:
    assert asked_by_socket(tmp_path, b'{"offers": []}\n') == {"offers": []}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b'{"failure": "not permitted: it needs CAP_NET_RAW"}\n', NotPermitted, "CAP_NET_RAW"),
        (b'{"failure": "no such card"}\n', Unavailable, "no such card"),
        (b"", Unavailable, "gives no sense"),
    ],
)
def test_its_failures_are_told_in_its_words(
    tmp_path: Path, answer: bytes, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        asked_by_socket(tmp_path, answer)


def test_where_it_is_not_installed_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "NAME", "no-such-program")
    with pytest.raises(NotPermitted, match="is not installed"):
        asyncio.run(ask_netdiag(Settings(run=tmp_path), probe="dhcp", card="eth0"))


def answering(monkeypatch: pytest.MonkeyPatch, check: Any, *answers: Any) -> None:
    left = list(answers)

    async def tell(settings: Settings, **request: Any) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(check, "ask_netdiag", tell)


def looked(check: Any, surroundings: Surroundings) -> Any:
    return asyncio.run(check.run(surroundings))


def test_an_address_that_somebody_else_has_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [("eth0", "192.0.2.7"), ("eth1", "198.51.100.7")]
    monkeypatch.setattr(doubled, "own_addresses", lambda: own)
    monkeypatch.setattr(doubled, "doubled_addresses", list)
    answering(monkeypatch, doubled, {"cards": []}, {"cards": ["02:00:00:00:00:09"]})
    told = looked(doubled, around(tmp_path))
    assert (told.verdict, told.text) == (
        "fail",
        "198.51.100.7 on eth1 is also at 02:00:00:00:00:09",
    )
    answering(monkeypatch, doubled, {"cards": []}, {"cards": []})
    assert looked(doubled, around(tmp_path)).text == "nobody else has our 2 addresses"
    answering(monkeypatch, doubled, NotPermitted("not installed"))
    assert looked(doubled, around(tmp_path)).verdict == "not_applicable"
    monkeypatch.setattr(doubled, "doubled_addresses", lambda: ["2001:db8::7"])
    answering(monkeypatch, doubled, NotPermitted("not installed"))
    assert looked(doubled, around(tmp_path)).verdict == "fail"


def offer(server: str, **options: str) -> dict[str, Any]:
    plain = {number.removeprefix("o"): text for number, text in options.items()}
    return {"server": server, "address": "192.0.2.99", "options": plain}


@pytest.mark.parametrize(
    ("offers", "verdict", "words"),
    [
        ([], "not_applicable", "no DHCP server answers"),
        ([offer("192.0.2.1")], "ok", "nowhere special"),
        ([offer("192.0.2.1", o66="tftp.example")], "warn", "option 66"),
        ([offer("192.0.2.1"), offer("192.0.2.9")], "warn", "2 DHCP servers answer"),
    ],
)
def test_dhcp_that_leads_phones_away_is_to_be_seen_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offers: list[Any],
    verdict: str,
    words: str,
) -> None:
    monkeypatch.setattr(dhcp, "way_out", lambda: Way("eth0", 2, "192.0.2.1", "192.0.2.7"))
    answering(monkeypatch, dhcp, {"offers": offers})
    told = looked(dhcp, around(tmp_path))
    assert (told.verdict, words in told.text) == (verdict, True), told
