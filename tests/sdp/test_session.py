"""Session descriptions: what is read, what is refused, and that writing is the inverse."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sdp.session import Attribute, Media, Origin, Session

OFFER = (
    b"v=0\r\n"
    b"o=alice 2890844526 2890844527 IN IP4 192.0.2.10\r\n"
    b"s=call\r\n"
    b"c=IN IP4 192.0.2.10\r\n"
    b"b=AS:84\r\n"
    b"t=0 0\r\n"
    b"a=sendonly\r\n"
    b"m=audio 49170 RTP/AVP 0 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
    b"a=ptime:20\r\n"
    b"m=video 0 RTP/AVP 31\r\n"
    b"c=IN IP6 2001:db8::1\r\n"
    b"a=recvonly\r\n"
)


def changed(old: bytes, new: bytes) -> bytes:
    assert old in OFFER
    return OFFER.replace(old, new)


def test_writing_is_the_inverse_of_reading() -> None:
    assert Session.parse(OFFER).encode() == OFFER


def test_every_part_is_found() -> None:
    session = Session.parse(OFFER)
    audio, video = session.media
    assert session.origin == Origin(2890844526, 2890844527, "alice", "192.0.2.10")
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == (
        "audio",
        49170,
        "RTP/AVP",
        ("0", "101"),
    )
    assert audio.rtpmaps == {"0": "PCMU/8000", "101": "telephone-event/8000"}
    assert audio.ptime == 20
    assert session.connection_of(audio) == "192.0.2.10"
    assert session.connection_of(video) == "2001:db8::1"


def test_direction_of_the_session_counts_where_a_stream_has_none() -> None:
    session = Session.parse(OFFER)
    assert [session.direction_of(media) for media in session.media] == ["sendonly", "recvonly"]
    assert Session.parse(changed(b"a=sendonly\r\n", b"")).direction_of(session.media[0]) == (
        "sendrecv"
    )


def test_bare_line_feeds_and_a_missing_last_one_are_read() -> None:
    assert Session.parse(OFFER.replace(b"\r\n", b"\n").rstrip()) == Session.parse(OFFER)


def test_unknown_attributes_are_kept_in_order() -> None:
    session = Session.parse(OFFER + b"a=x-new:1:2\r\na=x-flag\r\na=x-empty:\r\n")
    assert session.media[1].attributes[1:] == (
        Attribute("x-new", "1:2"),
        Attribute("x-flag"),
        Attribute("x-empty", ""),
    )
    assert session.media[1].attribute("x-flag") == ""
    assert session.media[1].attribute("absent") is None


def test_octets_that_are_not_utf_8_survive() -> None:
    body = changed(b"s=call", b"s=caf\xe9")
    assert Session.parse(body).encode() == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\0\1\2",
        OFFER[5:],
        changed(b"v=0", b"v=1"),
        changed(b"o=alice", b"o=al ice"),
        changed(b"2890844526", b"abc"),
        changed(b"2890844526", b"9" * 21),
        changed(b"o=alice 2890844526 2890844527 IN IP4 192.0.2.10\r\n", b""),
        changed(b"c=IN IP4 192.0.2.10", b"c=IN 192.0.2.10"),
        changed(b"c=IN IP4 192.0.2.10", b"c=ATM NSAP 1"),
        changed(b"49170", b"99999"),
        changed(b"49170", b"-1"),
        changed(b"RTP/AVP 0 101", b"RTP/AVP"),
        changed(b"RTP/AVP 0 101", b"RTP/AVP" + b" 0" * 129),
        changed(b"a=ptime:20", b"a ptime"),
        changed(b"a=ptime:20", b"a=ptime\r20"),
        changed(b"a=ptime:20", b"a=ptime\x0020"),
        changed(b"a=ptime:20", b"x=unknown letter"),
        changed(b"s=call", b"s=call\r\ns=again"),
        OFFER + b"m=audio 1 RTP/AVP 0\r\n" * 15,
        OFFER + b"a=x\r\n" * 1000,
        OFFER + b"a=" + b"x" * 65536,
    ],
)
def test_what_is_no_description_is_refused_with_400(body: bytes) -> None:
    with pytest.raises(RemoteError) as refused:
        Session.parse(body)
    assert refused.value.status == 400


@given(st.binary(max_size=400), st.integers(0, len(OFFER)), st.integers(0, 40))
def test_damage_ends_in_a_description_or_a_refusal(noise: bytes, at: int, gone: int) -> None:
    try:
        session = Session.parse(OFFER[:at] + noise + OFFER[at + gone :])
    except RemoteError as refused:
        assert refused.status == 400
    else:
        assert Session.parse(session.encode()) == session


def test_the_longest_description_is_read_in_linear_time() -> None:
    body = OFFER + b"a=rtpmap:1 x/1\r\n" * 980
    begin = time.process_time()
    assert Session.parse(body).media[1].rtpmaps
    assert time.process_time() - begin < 0.02


def test_secure_profiles_are_recognised() -> None:
    def secure(protocol: str) -> bool:
        return Media("audio", 1, protocol, ("0",)).secure

    assert secure("RTP/SAVP") and secure("rtp/savpf") and secure("UDP/TLS/RTP/SAVPF")
    assert not secure("RTP/AVP") and not secure("RTP/AVPF")
