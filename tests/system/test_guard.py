"""Wrong passwords, replayed credentials, and phones that must not notice any of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.system.sip import Account, Line
from tests.system.site import System, site_in_outage
from tests.system.waiting import until

GUESSES = 1000


POLICIES = {"max_expires": 300}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("guard"), 4, policies=POLICIES) as system:
        yield system


def contacts(site: System, extension: str) -> list[str]:
    rows = site.holdfast("phones", "--registered") or []
    return sorted(row["contact"] for row in rows if row["extension"] == extension)


def good_phone(site: System, name: str, host: int) -> Account:
    account = site.account(name, Line(site.phone(host)))
    assert account.register(expires=300).status == 200
    return account


def test_a_wrong_password_neither_replaces_nor_removes_a_binding(site: System) -> None:
    good_phone(site, "101", 0)
    before = contacts(site, "101")
    assert len(before) == 1
    stranger = site.account("101", Line(site.phone(1)), "guessed")
    assert stranger.register(contact="<sip:101@10.77.0.66>").status in (401, 403)
    assert stranger.register(expires=0, contact="*").status in (401, 403)
    assert contacts(site, "101") == before


def test_credentials_sent_again_are_refused(site: System) -> None:
    phone = good_phone(site, "102", 0)
    before = contacts(site, "102")
    spent = phone.credentials("REGISTER", f"sip:{phone.domain}", 1)
    again = phone.ask(authorization=spent)
    assert again.status == 401
    assert contacts(site, "102") == before
    # The same credentials from another address: that nonce was never given to it.
    thief = Account("102", "unknown", phone.domain, Line(site.phone(1)))
    thief.challenge = phone.challenge
    fresh = phone.credentials("REGISTER", f"sip:{phone.domain}", 2)
    assert thief.ask(authorization=fresh, contact="<sip:102@10.77.0.66>").status == 401
    assert contacts(site, "102") == before


def test_guessing_is_throttled_and_reported_while_others_register_at_once(site: System) -> None:
    guesser = site.account("103", Line(site.phone(2)), "guess")
    judged, waits = 0, 0
    challenge = guesser.ask()
    for number in range(1, GUESSES + 1):
        guesser.password = f"guess-{number}"
        guesser.cseq += 1
        shown = guesser.authorization(challenge, number)
        guesser.line.send(guesser.request(60, shown, {}))
        answer = guesser.line.receive(0.05)
        judged += answer is not None and answer.status == 401
        waits += answer is not None and answer.status == 503
        if number % 250 == 0:
            began = time.monotonic()
            good_phone(site, str(104 + number // 250), 3)
            assert time.monotonic() - began < 3, "a good phone need not wait for a guesser"
    assert judged <= 10, "no more than ten guesses are looked at"
    assert waits > 900, "all others are told to wait"
    banned = site.holdfast("status")["guard"]["banned"]
    assert [ban["source"] for ban in banned] == [site.phone(2).address]
    assert f"{site.phone(2).address} is banned" in site.log.read_text()


def test_during_the_ban_even_the_right_password_tells_nothing(site: System) -> None:
    banned = site.account("103", Line(site.phone(2))).register()
    assert banned.status == 503
    assert int(banned.first("Retry-After")) > 600
    assert contacts(site, "103") == []


def test_a_good_phone_at_the_same_site_goes_on(site: System) -> None:
    until(lambda: good_phone(site, "110", 3), 2, "another phone registers")
