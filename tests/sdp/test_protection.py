"""Profiles and key lines of single m-lines, and which keys two descriptions agree on."""

from __future__ import annotations

import pytest

from appliance.sdp.crypto import CryptoAttribute
from appliance.sdp.protection import answering, clear, negotiated, protected
from appliance.sdp.session import Media
from tests.sdp.test_offer_answer import CRYPTO_32, CRYPTO_80, audio

LINE = CryptoAttribute.parse(CRYPTO_80.removeprefix("a=crypto:"))


def media(*lines: str, protocol: str = "RTP/SAVP") -> Media:
    return audio(*lines, protocol=protocol).media[0]


@pytest.mark.parametrize(("plain", "safe"), [("RTP/AVP", "RTP/SAVP"), ("RTP/AVPF", "RTP/SAVPF")])
def test_profiles_change_and_feedback_stays(plain: str, safe: str) -> None:
    assert protected(media(protocol=plain), [LINE]).protocol == safe
    assert protected(media(protocol=safe), [LINE]).protocol == safe
    undone = clear(media(CRYPTO_80, "a=ptime:20", protocol=safe))
    assert (undone.protocol, undone.crypto, undone.ptime) == (plain, [], 20)


def test_an_answer_takes_the_profile_of_its_offer_and_one_line() -> None:
    offer = media(CRYPTO_80)
    told = answering(media(protocol="RTP/AVP"), offer, LINE)
    assert (told.protocol, told.crypto) == ("RTP/SAVP", [str(LINE)])
    assert answering(media(CRYPTO_80), media(protocol="RTP/AVP"), None).crypto == []


def test_the_keys_in_force_are_those_of_the_answers_tag() -> None:
    offer, answer = media(CRYPTO_80, CRYPTO_32), media(CRYPTO_32)
    for told, heard in ((offer, answer), (answer, offer)):
        agreed = negotiated(told, heard)
        assert agreed is not None
        assert agreed.told.tag == agreed.heard.tag == 2
    assert negotiated(offer, media(protocol="RTP/AVP")) is None
    assert negotiated(media(protocol="RTP/AVP"), answer) is None
    assert negotiated(media(CRYPTO_80), media(CRYPTO_32)) is None


@pytest.mark.parametrize(
    ("more", "bridgeable"),
    [("", True), (" WSH=64", True), (" KDR=1", False), (" FEC_ORDER=FEC_SRTP", False)],
)
def test_some_protections_can_only_pass(more: str, bridgeable: bool) -> None:
    assert CryptoAttribute.parse(f"{LINE}{more}").bridgeable is bridgeable


def test_names_of_drafts_are_those_of_the_standard() -> None:
    key = "A" * 62
    line = CryptoAttribute.parse(f"1 AES_CM_256_HMAC_SHA1_80 inline:{key}")
    assert line.bridgeable
    assert line.standard_suite == "AES_256_CM_HMAC_SHA1_80"
