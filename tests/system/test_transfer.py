"""Transfers by a real phone: who is transferred and the target hear each other's tone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system.baresip import Baresip
from tests.system.desk import account, desk_phone
from tests.system.secure_phone import SecurePhone
from tests.system.site import DOMAIN, System, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}
AES = "AES_CM_128_HMAC_SHA1_80"
SRTP = ";mediaenc=srtp-mand"


class Three(NamedTuple):
    """Ana is transferred, Ben transfers, and Cleo is the target."""

    site: System
    ana: SecurePhone
    ben: Baresip
    cleo: Baresip


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    folder: Path = tmp_path_factory.mktemp("transfer")
    with site_in_outage(folder, 3, policies=POLICIES) as site:
        ben, cleo = (desk_phone(site, number) for number in (1, 2))
        ana = SecurePhone(site.phone(0), "101", 980)
        try:
            yield Three(site, ana, ben, cleo)
        finally:
            ana.close()


def become(phone: Baresip, number: int, answers: str = "auto", more: str = "") -> None:
    before = len(phone.events)
    phone.become(account(number, answers=answers, more=more))
    phone.wait("REGISTER_OK", 20, before)


def hear_each_other(three: Three) -> None:
    """Talk until Ana and Cleo have recognised each other's tone."""
    assert three.ana.hears(three.cleo.tone, tries=15), three.site.evidence()
    heard = (three.ana.talk(0.4) and three.cleo.hears(three.ana.tone) for _ in range(15))
    assert any(heard), three.cleo.trace()


def closed(phone: Baresip, since: int, count: int = 1) -> None:
    def told() -> bool:
        phone.listen()
        new = phone.events[since:]
        return sum(event.get("type") == "CALL_CLOSED" for event in new) >= count

    until(told, 10, f"{phone.name} is out of {count} calls", phone.trace)


def record_of(three: Three, known: int) -> list[dict[str, Any]]:
    """Wait for the records of a test, and give them."""
    site = three.site
    rows = until(lambda: _more(site, known), 10, "a call record", site.evidence)
    return [site.holdfast("records", "show", row["id"]) for row in rows]


def _more(site: System, known: int) -> list[dict[str, Any]]:
    rows = sorted(site.holdfast("records") or [], key=lambda row: str(row["started"]))
    return rows[known:]


def records(site: System) -> int:
    return len(site.holdfast("records") or [])


def nothing_is_left(site: System) -> bool:
    shown = site.holdfast("status")
    return bool(shown) and (shown["calls"], shown["ports"]) == (0, 0)


@pytest.mark.parametrize(("suite", "target"), [("", SRTP), (AES, ""), (AES, SRTP)], ids=str)
def test_blind_transfer_whatever_protects_the_legs(three: Three, suite: str, target: str) -> None:
    ana, ben, cleo = three.ana, three.ben, three.cleo
    become(cleo, 2, more=target)
    known, since, there = records(three.site), len(ben.events), len(cleo.events)
    assert ana.call("102", suite).status == 200
    assert ana.hears(ben.tone)
    ben.do("transfer", f"sip:103@{DOMAIN}")
    ana.talk(1.0)
    cleo.wait("CALL_ESTABLISHED", 10, there)
    hear_each_other(three)
    closed(ben, since)
    ana.hang_up()
    closed(cleo, there)
    (record,) = record_of(three, known)
    assert "102 transfers to 103" in record["steps"]
    protections = [step for step in record["steps"] if step.startswith("SRTP:")]
    assert bool(protections) == bool(suite or target), record["steps"]
    until(lambda: nothing_is_left(three.site), 5, "nothing is left", three.site.evidence)


def test_consult_transfer(three: Three) -> None:
    ana, ben, cleo = three.ana, three.ben, three.cleo
    become(cleo, 2)
    known, since, there = records(three.site), len(ben.events), len(cleo.events)
    assert ana.call("102", AES).status == 200
    assert ana.hears(ben.tone)
    first = _dialog(ben)
    ben.dial(f"sip:103@{DOMAIN}")
    ana.talk(1.0)
    cleo.wait("CALL_ESTABLISHED", 10, there)
    until(lambda: cleo.hears(ben.tone), 8, "Cleo is asked", cleo.trace)
    ben.do("transfer", f"<sip:101@{DOMAIN}?Replaces={first}>")
    hear_each_other(three)
    closed(ben, since, 2)
    three.site.kill("core")
    hear_each_other(three)
    until(lambda: three.site.holdfast("status"), 10, "core is back", three.site.evidence)
    ana.hang_up()
    closed(cleo, there)
    shown = record_of(three, known)
    assert len(shown) == 2
    assert any("was joined with" in record["reason"] for record in shown)
    until(lambda: nothing_is_left(three.site), 5, "nothing is left", three.site.evidence)


def test_who_has_hung_up_is_called_back_when_the_target_declines(three: Three) -> None:
    ana, ben, cleo = three.ana, three.ben, three.cleo
    become(cleo, 2, "manual")
    since, there = len(ben.events), len(cleo.events)
    assert ana.call("102").status == 200
    assert ana.hears(ben.tone)
    ben.do("transfer", f"sip:103@{DOMAIN}")
    cleo.wait("CALL_INCOMING", 10, there)
    ben.do("hangup")
    closed(ben, since)
    again = len(ben.events)
    cleo.do("hangup")
    ana.talk(1.0)
    ben.wait("CALL_ESTABLISHED", 10, again)
    assert ana.hears(ben.tone, tries=15)
    ana.hang_up()
    closed(ben, again)
    until(lambda: nothing_is_left(three.site), 5, "nothing is left", three.site.evidence)


def _dialog(ben: Baresip) -> str:
    """Return Ben's dialog in the call he was invited to last, as Replaces in a URI has it."""
    text = ben.log.read_text(errors="replace")
    answers = re.findall(r"SIP/2\.0 200 (?:OK|Answering).*?\r?\n\r?\n", text, re.DOTALL)
    mine = [one for one in answers if "CSeq: 1 INVITE" in one and "Contact: <sip:102" in one]
    last = mine[-1]
    call_id = re.search(r"Call-ID: (\S+)", last)
    theirs = re.search(r"From: .*;tag=(\S+)", last)
    own = re.search(r"To: .*;tag=(\S+)", last)
    assert call_id and theirs and own, last
    return f"{call_id[1]}%3Bto-tag%3D{theirs[1]}%3Bfrom-tag%3D{own[1]}"
