"""What users do with their calls, with real phones: forwarding, codes, and texts on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE
from tests.system.site import DOMAIN, System, password, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}
PARTS = {"texts": {"outage": "Backup service is on.", "over": "It is over."}}


class Phones:
    """A site in an outage with three phones, 101 to 103, that answer by themselves."""

    def __init__(self, site: System) -> None:
        self.site = site
        self.one, self.two, self.three = (self._phone(number) for number in range(3))

    def _phone(self, number: int) -> Baresip:
        name = str(101 + number)
        account = (
            f"<sip:{name}@{DOMAIN}>;auth_user={name};auth_pass={password(name)};regint=300"
            f';audio_codecs=PCMU;answermode=auto;outbound="sip:{APPLIANCE}"'
        )
        one = Baresip(self.site.phone(number), self.site.folder, 500 + 200 * number, account)
        one.wait("REGISTER_OK", 20)
        return one

    def dial(self, phone: Baresip, number: str) -> int:
        """Have a phone call; return how many events it had before."""
        phone.listen()
        since = len(phone.events)
        phone.dial(f"sip:{number}@{DOMAIN}")
        return since

    def talk(self, one: Baresip, other: Baresip) -> None:
        until(lambda: other.hears(one.tone), 15, "the caller is heard", other.trace)
        until(lambda: one.hears(other.tone), 15, "who answers is heard", one.trace)

    def last_record(self, callee: str) -> dict[str, Any]:
        """Return the record of the last call to a number, once it is over."""

        def found() -> dict[str, Any] | None:
            rows = self.site.holdfast("records") or []
            return next((row for row in rows if row["callee"] == callee), None)

        return dict(until(found, 10, f"the record of a call to {callee}", self.site.evidence))


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    folder: Path = tmp_path_factory.mktemp("features")
    with site_in_outage(folder, 3, policies=POLICIES, parts=PARTS) as system:
        yield Phones(system)


def test_a_phone_shows_that_the_site_serves_itself(phones: Phones) -> None:
    log = phones.one.log
    until(
        lambda: "Backup service is on." in log.read_text(errors="replace"),
        5,
        "the text is shown",
        phones.one.trace,
    )


def test_calls_go_where_a_code_sends_them_and_back_again(phones: Phones) -> None:
    caller, away, stand_in = phones.one, phones.two, phones.three
    since = phones.dial(away, "*72103")
    away.wait("CALL_ESTABLISHED", 10, since)
    away.wait("CALL_CLOSED", 10, since)
    (row,) = phones.site.holdfast("forwarding", "list")
    assert (row["extension"], row["in_force"]) == ("102", {"always": "103"})
    since = phones.dial(caller, "102")
    caller.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(caller, stand_in)
    caller.do("hangup")
    assert "102 forwards to 103: always" in phones.last_record("102")["steps"]
    assert phones.last_record("102")["answered_by"] == "103"
    assert phones.site.holdfast("forwarding", "reset", "102")["changed"]
    assert phones.site.holdfast("forwarding", "list") == []
