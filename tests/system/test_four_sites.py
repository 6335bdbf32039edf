"""Four sites without a cloud: whichever is killed, the other three still call each other (F1)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from tests.system.sip import Line, Message
from tests.system.sites import EXTENSION, NAMES, Place, converse, mesh
from tests.system.waiting import until

Sites = dict[str, Place]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with mesh(tmp_path_factory.mktemp("sites")) as places:
        yield places


def all_see_each_other(sites: Sites) -> None:
    for place in sites.values():
        others = [name for name in NAMES if name != place.name]
        until(lambda p=place, o=others: p.sees(*o), 30, "all is well", place.evidence, step=0.2)  # type: ignore[misc]


def test_every_site_shows_the_others_with_mode_and_certificate(sites: Sites) -> None:
    all_see_each_other(sites)
    for row in sites["west"].ask("peers"):
        assert row["mode"] == "survivability"
        assert row["certificate"]["names"] == [row["host"]]
        assert row["rtt"] < 1


@pytest.mark.parametrize("lost", NAMES)
def test_the_others_call_each_other_when_one_is_killed(sites: Sites, lost: str) -> None:
    all_see_each_other(sites)
    one, two, three = (place for name, place in sites.items() if name != lost)
    sites[lost].kill()
    for caller, callee in ((one, two), (two, three), (three, one)):
        converse(caller, callee)
    answer = one.phone.call(sites[lost].number)
    assert answer.status == 503, "whoever calls the site that is lost is told"
    sites[lost].start()
    until(sites[lost].serves, 30, f"{lost} is back", sites[lost].evidence, step=0.2)
    converse(sites[lost], one)


@pytest.mark.parametrize(
    ("claimed", "dialled", "answer"),
    [
        ("811999", EXTENSION, 486),
        ("83101", EXTENSION, 486),
        ("+13125550100", EXTENSION, 486),
        ("82101", "83101", 404),
        ("82101", "+13125550100", 404),
        ("82101", "911", 404),
    ],
)
def test_a_lying_site_speaks_for_itself_alone(
    sites: Sites, claimed: str, dialled: str, answer: int
) -> None:
    west, east = sites["west"], sites["east"]
    line = outsider(east, west)
    line.send(invite(line, claimed, dialled))
    try:
        if answer == 486:
            shown = west.phone.decline().first("From")
            assert shown.startswith('"east" <sip:82@'), shown
        said = next_final(line)
        assert said.status == answer, said
    finally:
        line.close()


def outsider(liar: Place, victim: Place) -> Line:
    """Connect to a site with the certificate of another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*liar.files)
    return Line(liar.beside, "TLS", (victim.host.address, 5061), tls=context)


def invite(line: Line, claimed: str, dialled: str) -> bytes:
    name = f"{claimed}-{dialled}".strip("+")
    lines = [
        f"INVITE sip:{dialled}@site SIP/2.0",
        f"Via: SIP/2.0/TLS {line.own};branch=z9hG4bK{name};rport",
        f'From: "The boss" <sip:{claimed}@site.example>;tag=lie',
        f"P-Asserted-Identity: <sip:{claimed}@site.example>",
        f"Diversion: <sip:{claimed}@site.example>;reason=unconditional",
        f"To: <sip:{dialled}@site.example>",
        f"Call-ID: {name}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:{line.own};transport=tls>",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def next_final(line: Line) -> Message:
    """Give the next answer but 100."""
    while True:
        message = line.receive(10)
        assert message is not None, "no answer"
        if message.status > 100:
            return message
