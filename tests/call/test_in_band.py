"""Keys become tones on a line that takes no telephone events (E2)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.bundle import Group
from appliance.call.actions import Relay
from appliance.call.events import DigitPressed, SoundEnded
from appliance.rtp.dtmf import FRAME, DtmfDetector
from appliance.rtp.progress_tone import DTMF, progress_tone
from appliance.sip.message import Request, Response
from tests.phones import sdp
from tests.trunk.outside import Trunked, answered, trunk_bundle

NUMBER = "+15125550199"


def without_events(address: str) -> bytes:
    """Write the description of somebody who has no telephone events."""
    lines = sdp(address).decode().replace(" 0 101", " 0").split("\r\n")
    return "\r\n".join(one for one in lines if "101" not in one).encode()


class Menu:
    """Alice has heard a menu of ours, with events, and is led outside, where there are none."""

    def __init__(self, body: bytes = b"") -> None:
        menu = Group(id="menu", name="Menu", extension="7000", kind="menu", keys={"1": "7001"})
        out = Group(id="out", name="Out", extension="7001", kind="number", number=NUMBER)
        bundle = replace(trunk_bundle(), groups=(menu, out))
        self.site = Trunked(bundle)
        self.bench, self.alice, self.sbc = self.site.bench, self.site.alice, self.site.sbc
        self.invite = self.alice.invite("7000")
        self.accepted = next(m for m in self.alice.take()[::-1] if isinstance(m, Response))
        self.alice.send(self.alice.within(self.invite, self.accepted, "ACK", cseq=2))
        self.tell(DigitPressed(self.relay.key, "a", "1"))
        self.call = self.sbc.expect("INVITE")
        self.sbc.answer(self.call, 200, body=body or without_events(self.sbc.host))
        self.sbc.expect("ACK")

    @property
    def relay(self) -> Relay:
        (relay,) = self.bench.relays.values()
        return relay

    def tell(self, event: DigitPressed | SoundEnded) -> None:
        self.bench.perform(self.bench.core.media_event(event, self.bench.now))

    def press(self, digit: str) -> None:
        self.tell(DigitPressed(self.relay.key, "a", digit))

    @property
    def heard(self) -> str:
        """Name of what is heard outside in place of alice."""
        sound = self.relay.b.hears if self.relay.b is not None else None
        return sound.name if sound is not None else ""

    def over(self) -> None:
        """Let the tone come to its end."""
        assert self.relay.b is not None and self.relay.b.hears is not None
        self.tell(SoundEnded(self.relay.key, "b", self.relay.b.hears.serial))


def test_events_are_told_to_us_and_go_out_as_tones_one_after_another() -> None:
    menu = Menu()
    assert menu.relay.a.digits
    menu.press("4")
    menu.press("2")
    assert menu.heard == "tone/dtmf-4"
    menu.over()
    assert menu.heard == "tone/dtmf-2"
    menu.over()
    assert menu.heard == ""
    menu.press("#")
    assert menu.heard == "tone/dtmf-#"


def test_where_there_are_events_nobody_listens() -> None:
    site = Trunked()
    site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    site.sbc.answer(call, 200, body=sdp(site.sbc.host))
    (relay,) = site.bench.relays.values()
    assert not relay.a.digits and not (relay.b and relay.b.digits)


def test_a_key_by_info_goes_out_as_a_tone_where_there_are_no_events() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    site.sbc.answer(call, 200, body=without_events(site.sbc.host))
    site.sbc.expect("ACK")
    answer = next(m for m in site.alice.take()[::-1] if isinstance(m, Response))
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=2))
    info = site.alice.within(invite, answer, "INFO", cseq=7, body=b"Signal=5\r\nDuration=160\r\n")
    info.set("Content-Type", "application/dtmf-relay")
    site.alice.send(info)
    assert site.alice.responses() == [200]
    assert not site.sbc.requests()
    (relay,) = site.bench.relays.values()
    assert relay.b is not None and relay.b.hears is not None
    assert relay.b.hears.name == "tone/dtmf-5"


def test_a_key_by_info_passes_where_there_are_events() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    answer = answered(site.alice, invite, site.sbc, site.sbc.expect("INVITE"))
    info = site.alice.within(invite, answer, "INFO", cseq=7, body=b"Signal=5\r\n")
    info.set("Content-Type", "application/dtmf-relay")
    site.alice.send(info)
    assert isinstance(site.sbc.expect("INFO"), Request)


def test_keys_that_wait_are_bounded_and_a_new_description_forgets_them() -> None:
    menu = Menu()
    for _ in range(100):
        menu.press("1")
    for _ in range(33):
        menu.over()
    assert menu.heard == ""
    menu.press("1")
    menu.press("2")
    again = menu.sbc.back(menu.call, "INVITE", "callee", cseq=5, body=sdp(menu.sbc.host))
    menu.sbc.send(again)
    menu.alice.answer(menu.alice.requests()[-1], 200, body=sdp(menu.alice.host, version=2))
    assert menu.heard == ""
    assert not menu.relay.a.digits, "they have events now"


@pytest.mark.parametrize("key", list("0123456789*#ABCD"))
def test_each_key_sounds_as_itself(key: str) -> None:
    samples = progress_tone(f"dtmf-{key}")
    assert samples is not None
    detector = DtmfDetector()
    twice = samples + samples
    frames = [twice[n : n + FRAME] for n in range(0, len(twice) - FRAME + 1, FRAME)]
    found = [digit for frame in frames if (digit := detector.hear(frame))]
    assert found == [key, key]
    assert len(DTMF) == 16
