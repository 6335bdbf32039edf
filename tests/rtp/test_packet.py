"""RTP packets, and telling RTP from RTCP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.rtp.packet import RtpPacket, is_rtcp, is_rtp

PLAIN = bytes.fromhex("80800001000000a012345678") + b"audio"
REPORT = bytes.fromhex("80c9000112345678")


def test_a_plain_packet_is_read_and_written() -> None:
    packet = RtpPacket(0, 1, 160, 0x12345678, b"audio", marker=True)
    assert RtpPacket.parse(PLAIN) == packet
    assert packet.encode() == PLAIN


def test_sources_extension_and_padding_are_read() -> None:
    data = bytes.fromhex("b265000100000000000000010000000200000003bede000112345678") + b"xx\0\0\3"
    packet = RtpPacket.parse(data)
    assert packet.csrcs == (2, 3)
    assert packet.extension == (0xBEDE, bytes.fromhex("12345678"))
    assert (packet.payload_type, packet.payload) == (101, b"xx")


@given(
    st.builds(
        RtpPacket,
        st.integers(0, 63) | st.integers(96, 127),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.binary(max_size=200),
        st.booleans(),
        st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
        st.none()
        | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 9).map(lambda words: bytes(4 * words))),
    )
)
def test_writing_and_reading_are_inverse(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.encode()) == packet


def test_counters_wrap() -> None:
    packet = RtpPacket.parse(RtpPacket(0, 65536 + 5, (1 << 32) + 6, 1, b"").encode())
    assert (packet.sequence, packet.timestamp) == (5, 6)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_packet_or_a_refusal(data: bytes) -> None:
    try:
        RtpPacket.parse(data)
    except RemoteError as refused:
        assert refused.status == 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:11],
        b"\x40" + PLAIN[1:],
        b"\x8f" + PLAIN[1:],
        b"\x90" + PLAIN[1:12],
        b"\x90" + PLAIN[1:12] + b"\0\0\0\5",
        b"\xa0" + PLAIN[1:12] + b"\x02",
        b"\xa0" + PLAIN[1:12] + b"\x00",
        REPORT + bytes(8),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        RtpPacket.parse(data)


def test_rtp_and_rtcp_are_told_apart() -> None:
    assert is_rtp(PLAIN) and not is_rtcp(PLAIN)
    assert is_rtcp(REPORT) and not is_rtp(REPORT + bytes(8))
    assert not is_rtp(b"") and not is_rtcp(b"\x80\xc8")
    assert not is_rtp(b"OPTIONS sip:x SIP/2.0") and not is_rtcp(b"OPTIONS sip:x SIP/2.0")
