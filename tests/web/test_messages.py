"""What was said in a call: who may see it, how it is drawn, and what tshark makes of the file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.web.messages import Drawing, drawing_of, file_of, messages_of
from tests.fake_core import record
from tests.messages import messages
from tests.web.house import House, run

LADDER = [
    *("INVITE with SDP", "401 Unauthorized", "ACK", "INVITE with SDP", "100 Trying"),
    *("INVITE with SDP", "180 Ringing", "180 Ringing", "200 OK with SDP", "ACK"),
    *("200 OK with SDP", "ACK", "BYE", "200 OK (BYE)", "BYE", "200 OK (BYE)"),
]


def drawn() -> Drawing:
    return drawing_of(messages_of("c1", messages()))


def test_everybody_has_a_name_and_a_lane() -> None:
    told = messages_of("c1", messages())
    assert told.parties == ["1001", "Holdfast", "1002"]
    assert [said.summary for said in told.messages] == LADDER
    assert [(said.source, said.to) for said in told.messages[:2]] == [
        ("1001", "Holdfast"),
        ("Holdfast", "1001"),
    ]
    assert told.messages[5].transport == "TLS"
    assert told.messages[5].remote == "192.0.2.102:49152"


def test_arrows_go_from_who_says_to_who_is_told() -> None:
    places = {name: place for place, name in drawn().lanes}
    first, second = drawn().arrows[:2]
    assert first.start == places["1001"] < first.end < places["Holdfast"]
    assert second.start == places["Holdfast"] > second.end > places["1001"]
    assert [arrow.kind for arrow in drawn().arrows[:5]] == [
        *("asks", "early", "asks", "asks", "early")
    ]
    assert drawn().height > drawn().arrows[-1].y


def test_somebody_without_a_name_has_an_address() -> None:
    row = messages()["messages"][1]
    told = messages_of("c", {"messages": [row | {"data": b"\xff\x00"}], "left_out": 2})
    assert told.parties == ["192.0.2.101:5062", "Holdfast"]
    assert told.messages[0].summary == "not SIP"
    assert messages_of("c", {"messages": [], "left_out": 0}).messages == ()


def test_tshark_reads_the_whole_call(tmp_path: Path) -> None:
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("needs tshark")
    file = tmp_path / "call.pcapng"
    file.write_bytes(file_of(messages()))
    fields = ("frame.time_epoch", "ip.src", "ip.dst", "sip.Method", "sip.Status-Code")
    asked = [word for field in fields for word in ("-e", field)]
    words = [program, "-r", str(file), "-T", "fields", "-E", "separator=;", *asked]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    rows = [line.split(";") for line in done.stdout.splitlines()]
    assert [row[3] or row[4] for row in rows] == [
        *("INVITE", "401", "ACK", "INVITE", "100", "INVITE", "180", "180"),
        *("200", "ACK", "200", "ACK", "BYE", "200", "BYE", "200"),
    ], done.stderr
    assert rows[0][:3] == ["1000.000000000", "192.0.2.101", "192.0.2.10"]
    assert rows[5][1:3] == ["192.0.2.10", "192.0.2.102"]
    words = [program, "-r", str(file), "-Y", "_ws.malformed or _ws.expert.group == checksum"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.stdout == "", done.stdout


def test_the_api_tells_it_and_gives_the_file_which_is_noted(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        olga, ann = await house.account("olga", "operator"), await house.account("ann", "auditor")
        status, told = await ann.ask("GET", "/api/v1/calls/c1/messages")
        assert (status, told["call"], len(told["messages"])) == (200, "c1", 16)
        assert (await ann.ask("GET", "/api/v1/calls/c1/pcap"))[0] == 403
        status, file = await olga.ask("GET", "/api/v1/calls/c1/pcap")
        assert (status, file.startswith("\n\r\r\n")) == (200, True)
        place = olga.headers["Content-Disposition"]
        assert place == 'attachment; filename="holdfast-call-c1.pcapng"'
        for path in ("messages", "pcap"):
            status, problem = await olga.ask("GET", f"/api/v1/calls/none/{path}")
            assert (status, "nothing is remembered" in problem["detail"]) == (404, True)
        noted = [(one.who, one.action, one.target) for one in await house.people.audit(50)]
        assert noted.count(("olga", "call.pcap", "c1")) == 1
        assert not [one for one in noted if one[2] == "none"]

    run(tmp_path, script)


def test_pages_show_it_by_what_one_may(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        house.core.waiting = [record("c1", ended=1009.0), record("r1", ended=1009.0)]
        olga, ann = await house.account("olga", "operator"), await house.account("ann", "auditor")
        for path in ("/calls/c1", "/records/c1"):
            status, text = await ann.ask("GET", path)
            assert (status, "/api/v1/calls/c1/pcap" in text) == (200, False)
            assert text.count('<svg class="ladder"') == 1
            assert "inline:xxxx" in text
            _, text = await olga.ask("GET", path)
            assert "/api/v1/calls/c1/pcap" in text
        _, text = await ann.ask("GET", "/records/r1")
        assert "not remembered any more" in text

    run(tmp_path, script)


def test_the_page_of_a_call_that_is_over_leads_to_its_record(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        ann = await house.account("ann", "auditor")
        assert (await ann.ask("GET", "/calls/r%201"))[0] == 303
        assert ann.headers["Location"] == "/records/r%201"
        ann.more = {"HX-Request": "true"}
        assert (await ann.ask("GET", "/calls/r1"))[0] == 200
        assert ann.headers["HX-Redirect"] == "/records/r1"

    run(tmp_path, script)


def test_a_hostile_message_is_text(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        hostile = b"INVITE <script>alert(1)</script> SIP/2.0\r\nFrom: <sip:<b>\"'@x>\r\n\r\n"
        row = messages()["messages"][0] | {"data": hostile}
        house.core.messages["c1"] = {"messages": [row], "left_out": 1}
        ann = await house.account("ann", "auditor")
        _, text = await ann.ask("GET", "/calls/c1")
        assert "<script>alert" not in text
        assert "1 messages in the middle" in text

    run(tmp_path, script)
