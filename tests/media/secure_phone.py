"""A phone that speaks SRTP: its own sessions of libsrtp, apart from the relay's."""

from __future__ import annotations

import os

from appliance.call.actions import Keys
from appliance.media.buffer import VIEW
from appliance.media.srtp import SrtpReceiver, SrtpSender
from appliance.sdp.crypto import SUITES
from tests.media.phone import RTCP, Phone


def fresh_keys(suite: str = "AES_CM_128_HMAC_SHA1_80", mki: str = "") -> Keys:
    return Keys(suite, os.urandom(SUITES[suite]), mki)


def protected(sender: SrtpSender, packet: bytes) -> bytes:
    VIEW[: len(packet)] = packet
    return bytes(VIEW[: sender.rtp(len(packet))])


def protected_rtcp(sender: SrtpSender, packet: bytes) -> bytes:
    VIEW[: len(packet)] = packet
    return bytes(VIEW[: sender.rtcp(len(packet))])


def opened(receiver: SrtpReceiver, packet: bytes, now: float = 0.0) -> bytes:
    """Return the clear packet, `b""` when it is refused."""
    VIEW[: len(packet)] = packet
    return bytes(VIEW[: receiver.rtp(len(packet), now)])


def opened_rtcp(receiver: SrtpReceiver, packet: bytes) -> bytes:
    VIEW[: len(packet)] = packet
    return bytes(VIEW[: receiver.rtcp(len(packet))])


class SecurePhone(Phone):
    """Sends under its own keys and opens what comes under the keys it was told."""

    def __init__(self, sends: Keys, hears: Keys, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.sends, self.hears = sends, hears
        self.sender, self.receiver = SrtpSender(sends), SrtpReceiver(hears)

    def side(self, **changes: object):  # type: ignore[no-untyped-def]
        return super().side(**({"receives": self.sends, "sends": self.hears} | changes))

    def say_clear(self, packet: bytes) -> bytes:
        """Protect a packet and send it; return what went out."""
        sent = protected(self.sender, packet)
        self.say(sent)
        return sent

    def report_clear(self, packet: bytes = RTCP) -> bytes:
        sent = protected_rtcp(self.sender, packet)
        self.report(sent)
        return sent

    def understood(self) -> list[bytes]:
        return [opened(self.receiver, packet) for packet in self.heard()]

    def understood_reports(self) -> list[bytes]:
        return [opened_rtcp(self.receiver, packet) for packet in self.reports()]
