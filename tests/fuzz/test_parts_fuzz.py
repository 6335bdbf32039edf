"""Hostile input for everything else that reads bytes: SDP, RTP, frames between processes, bundles.

Each reader may refuse with its own error; anything else is a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from appliance.bundle import Policies, decode
from appliance.errors import HoldfastError
from appliance.ipc import Frames, Message, encode
from appliance.phonebook import ldap_message
from appliance.phonebook.ber import Malformed, whole, written
from appliance.rtp import rtcp
from appliance.rtp.packet import RtpPacket, is_rtcp, is_rtp
from appliance.rtp.quality import SessionQuality
from appliance.sdp.offer_answer import check_answer, check_offer, relayed, remote_media
from appliance.sdp.session import Origin, Session
from tests.fuzz.mutation import hostile
from tests.phones import sdp, site_bundle
from tests.rtp.reports import block, bye, receiver_report, sender_report, voip_metrics
from tests.system.ldap import search

SESSION = SessionQuality()
BIND = b"\x02\x01\x03" + written(4, b"cn=phones") + written(0x80, b"abc")
SORTED = written(
    0xA0, written(0x30, written(4, ldap_message.SORT) + b"\x04\x08\x30\x06\x30\x04\x04\x02cn")
)
"""Controls of a search that is to be sorted."""
KEY = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32"


def read_sdp(data: bytes) -> None:
    session = Session.parse(data)
    local = {index: ("192.0.2.1", 20000 + 2 * index) for index in range(len(session.media))}
    check_offer(session, "preferred")
    remote_media(session)
    Session.parse(relayed(session, local, Origin(1, 1)).encode())
    check_answer(session, session)


def read_rtp(data: bytes) -> None:
    is_rtcp(data)
    if is_rtp(data):
        RtpPacket.parse(data)


def read_reports(data: bytes) -> None:
    """Hear a phone's RTCP and RTP of a whole session, and say what it was like."""
    SESSION.rtcp(len(data) % 2, data, len(data) / 7)  # type: ignore[arg-type]
    if len(data) >= 12:
        SESSION.header(0, data, len(data) / 7)
    SESSION.report(0, 1000, 172_000)
    if is_rtcp(data):
        rtcp.parse(data)


def read_frames(data: bytes) -> None:
    Frames().feed(data)


def read_ldap(data: bytes) -> None:
    """Read what a phone says over LDAP, and what slapd answers, as the door does."""
    with suppress(Malformed):
        size = whole(data)
        if size is not None:
            ldap_message.parse(data[:size])
    with suppress(Malformed):
        ldap_message.bind_result(data)


READERS: dict[str, tuple[Callable[[bytes], Any], list[bytes]]] = {
    "sdp": (
        read_sdp,
        [
            sdp("192.0.2.7"),
            sdp("192.0.2.7", direction="sendonly", protocol="RTP/SAVP", crypto=KEY),
            sdp("0.0.0.0") + b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=rtcp:11\r\n",
        ],
    ),
    "rtp": (read_rtp, [b"\x80\x00" + bytes(170), b"\x90\xe0" + bytes(40), b"\x81\xc8" + bytes(60)]),
    "rtcp": (
        read_reports,
        [
            sender_report(1, packets=50, about=block(2, 0.1, 5, 70, 80, 9, 1.5)) + bye(1),
            receiver_report(1, highest=70, lost=3) + voip_metrics(1, discard=0.1),
            RtpPacket(0, 64, 160, 1, bytes(160)).encode(),
        ],
    ),
    "ldap": (
        read_ldap,
        [
            written(0x30, b"\x02\x01\x01" + written(0x60, BIND)),
            written(0x30, b"\x02\x01\x02" + search("dc=site", "ana") + SORTED),
            written(0x30, b"\x02\x01\x03\x77\x18\x80\x16" + ldap_message.START_TLS),
            ldap_message.answer(4, 0x61, 49, "wrong"),
        ],
    ),
    "frames": (
        read_frames,
        [encode(Message(id=1, do="status")), encode(Message(id=2, ok={"a": [1, 2.5, None, "x"]}))],
    ),
    "bundle": (decode, [msgspec.json.encode(site_bundle(Policies(srtp="required")))]),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_with_its_own_error_only(name: str) -> None:
    read, good = READERS[name]
    for data in good:
        read(data)
    for number, data in hostile(3, good):
        try:
            read(data)
        except HoldfastError:
            continue
        except Exception as error:
            raise AssertionError(f"input {number}: {data!r}") from error
