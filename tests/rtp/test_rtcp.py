"""RTCP: what phones send is read, what nobody should send is refused in one pass."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.rtp.rtcp import BLOCKS, ReceptionReport, parse
from tests.rtp.reports import bye, packet, receiver_report, sender_report, voip_metrics

# As a phone in a call sends it: SR with one block, then SDES.
CAPTURED = bytes.fromhex(
    "81c8000c"
    "0f0e0d0c" "e8d5a3f1" "4ccccccd" "00027100" "000001f4" "00013880"
    "1a2b3c4d" "0d000019" "0001a2f7" "00000011" "a3ee8000" "00020000"
    "81ca0004" "0f0e0d0c" "0106" "313233343536" "00000000"
)  # fmt: skip


def test_a_sender_report_with_a_block_is_read() -> None:
    told = parse(CAPTURED)
    assert told.sender is not None
    assert (told.sender.ssrc, told.sender.moment) == (0x0F0E0D0C, 0xA3F14CCC)
    assert (told.sender.packets, told.sender.octets) == (500, 80_000)
    assert told.reports == [ReceptionReport(0x1A2B3C4D, 13 / 256, 25, 0x1A2F7, 17, 0xA3EE8000, 2.0)]


def test_lost_packets_may_be_negative() -> None:
    (report,) = parse(receiver_report(7, lost=-3)).reports
    assert report.lost == -3


def test_a_receiver_report_stands_without_sender() -> None:
    told = parse(receiver_report(7) + bye(1, 2))
    assert told.sender is None
    assert [report.ssrc for report in told.reports] == [7]
    assert told.goodbyes == [1, 2]


def test_voip_metrics_are_read() -> None:
    data = voip_metrics(7, loss=0.5, discard=0.25, delay=0.1, within=0.05, mos=4.1, concealment=1)
    (metrics,) = parse(data).metrics
    assert (metrics.loss, metrics.discard) == (0.5, 0.25)
    assert (metrics.round_trip, metrics.end_system_delay) == (0.1, 0.05)
    assert (metrics.mos, metrics.conceals) == (4.1, False)


def test_metrics_may_leave_things_open() -> None:
    (metrics,) = parse(voip_metrics(7, mos=12.7, concealment=0)).metrics
    assert (metrics.mos, metrics.conceals) == (None, None)


def test_other_extended_reports_are_passed_over() -> None:
    reference_time = b"\x04\0\0\2" + bytes(8)
    data = packet(207, 0, bytes(4) + reference_time + voip_metrics(7)[8:])
    assert [metrics.ssrc for metrics in parse(data).metrics] == [7]


def test_feedback_and_applications_are_passed_over() -> None:
    told = parse(packet(205, 1, bytes(8)) + packet(204, 0, bytes(12)) + receiver_report(7))
    assert len(told.reports) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        CAPTURED[:-1],
        CAPTURED[:20],
        CAPTURED + b"\0",
        b"\x40" + CAPTURED[1:],
        b"\x9f" + CAPTURED[1:],
        packet(200, 0, bytes(4)),
        packet(201, 1, bytes(4)),
        packet(203, 31, bytes(4)),
        packet(207, 0, bytes(4) + b"\x07\0\xff\xff"),
        struct.pack(">BBH", 0x80, 201, 0xFFFF) + bytes(60),
        struct.pack(">BBH", 0x80, 201, 0) + bytes(4),
    ],
)
def test_what_is_no_whole_rtcp_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        parse(data)


def test_a_flood_of_blocks_is_cut_short() -> None:
    many = packet(201, 31, bytes(4 + 31 * 24)) * 80
    told = parse(many)
    assert len(told.reports) == BLOCKS
    assert len(parse(packet(207, 0, bytes(4) + voip_metrics(7)[8:] * 1500)).metrics) == BLOCKS


@given(st.binary(max_size=300))
def test_any_bytes_end_in_reports_or_a_refusal(data: bytes) -> None:
    try:
        parse(b"\x81\xc8" + data)
    except RemoteError as refused:
        assert refused.status == 400


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_what_is_written_is_read(seconds: int, fraction: int, packets: int) -> None:
    told = parse(sender_report(1, moment=(seconds, fraction), packets=packets))
    assert told.sender is not None and told.sender.packets == packets
    assert told.sender.moment == (seconds & 0xFFFF) << 16 | fraction >> 16
