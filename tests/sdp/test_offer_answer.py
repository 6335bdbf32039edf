"""Offers and answers through the B2BUA: policy, topology hiding, hold, and keys that fit."""

from __future__ import annotations

import base64
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bundle import SrtpPolicy
from appliance.errors import RemoteError
from appliance.sdp.offer_answer import (
    RemoteMedia,
    check_answer,
    check_offer,
    is_hold,
    relayed,
    remote_media,
    versioned,
)
from appliance.sdp.session import Origin, Session

HOLDFAST = ("10.0.0.1", 20000)
KEY = base64.b64encode(bytes(range(30))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 31))).decode()
CRYPTO_80 = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
CRYPTO_32 = f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{OTHER_KEY}"


def session(*lines: str, address: str = "192.0.2.10") -> Session:
    head = ["v=0", f"o=phone 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    return Session.parse("\r\n".join([*head, *lines, ""]).encode())


def audio(*lines: str, protocol: str = "RTP/AVP", port: int = 4000, formats: str = "0") -> Session:
    return session(f"m=audio {port} {protocol} {formats}", *lines)


def passed(given: Session) -> Session:
    return relayed(given, dict.fromkeys(range(len(given.media)), HOLDFAST), Origin(7, 1))


# Policy


CLEAR = audio()
SECURE = audio(CRYPTO_80, protocol="RTP/SAVP")
BOTH = session("m=audio 4000 RTP/SAVP 0", CRYPTO_80, "m=audio 4002 RTP/AVP 0")


@pytest.mark.parametrize(
    ("policy", "clear", "secure", "both"),
    [
        ("required", None, (0,), (0,)),
        ("preferred", (0,), (0,), (0, 1)),
        ("off", (0,), None, (1,)),
    ],
)
def test_policy_decides_which_lines_are_relayed(
    policy: SrtpPolicy,
    clear: tuple[int, ...] | None,
    secure: tuple[int, ...] | None,
    both: tuple[int, ...] | None,
) -> None:
    for offer, lines in ((CLEAR, clear), (SECURE, secure), (BOTH, both)):
        if lines is not None:
            assert check_offer(offer, policy) == lines
            continue
        with pytest.raises(RemoteError) as refused:
            check_offer(offer, policy)
        assert refused.value.status == 488


@pytest.mark.parametrize("protocol", ["UDP/TLS/RTP/SAVPF", "udptl", "TCP/MSRP", "RTP/SAVP"])
def test_what_cannot_be_relayed_is_refused(protocol: str) -> None:
    with pytest.raises(RemoteError, match="488"):
        check_offer(audio(protocol=protocol), "preferred")


@pytest.mark.parametrize(
    "crypto",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:!!!",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:20]}",
        f"a=crypto:1 NULL_CIPHER inline:{KEY}",
        f"{CRYPTO_80} UNENCRYPTED_SRTP",
    ],
)
@pytest.mark.parametrize("policy", ["required", "preferred"])
def test_a_bad_key_refuses_the_whole_offer(crypto: str, policy: SrtpPolicy) -> None:
    offer = session("m=audio 4000 RTP/SAVP 0", CRYPTO_80, "m=video 4002 RTP/SAVP 99", crypto)
    if "NULL_CIPHER" in crypto:
        offer = audio(crypto, protocol="RTP/SAVP")
    with pytest.raises(RemoteError, match="488"):
        check_offer(offer, policy)


@pytest.mark.parametrize("policy", ["preferred", "off"])
def test_a_stream_that_was_secure_stays_secure(policy: SrtpPolicy) -> None:
    with pytest.raises(RemoteError, match="may not become clear"):
        check_offer(CLEAR, policy, before=SECURE)


def test_a_clear_stream_may_become_secure_and_a_secure_one_may_end() -> None:
    assert check_offer(SECURE, "preferred", before=CLEAR) == (0,)
    assert check_offer(audio(port=0), "preferred", before=SECURE) == ()


def test_streams_that_are_all_ended_are_legal() -> None:
    assert check_offer(audio(port=0), "required") == ()
    assert check_offer(session(), "required") == ()


@pytest.mark.parametrize(
    "address", ["phone.example.com", "239.1.2.3", "255.255.255.255", "fe80::1%1"]
)
def test_media_goes_to_one_address_only(address: str) -> None:
    with pytest.raises(RemoteError, match="488"):
        check_offer(session("m=audio 4000 RTP/AVP 0", address=address), "preferred")


# What the other leg sees


def test_the_phone_is_hidden_and_what_it_can_is_not() -> None:
    offer = Session.parse(
        b"v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=Alice's phone\r\ni=secret\r\n"
        b"u=http://192.0.2.10/\r\ne=alice@example.com\r\np=+1 617 555-6011\r\n"
        b"c=IN IP4 192.0.2.10\r\nb=AS:84\r\nt=0 0\r\n"
        b"a=ice-lite\r\na=group:BUNDLE 0\r\na=tool:phone 1.0\r\na=fingerprint:sha-1 AB\r\n"
        b"m=audio 4000 RTP/AVP 9 0 101\r\nc=IN IP4 192.0.2.11\r\nb=TIAS:64000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\n"
        b"a=rtcp:4003 IN IP4 192.0.2.12\r\na=rtcp-mux\r\na=setup:actpass\r\n"
        b"a=candidate:1 1 UDP 1 192.0.2.10 4000 typ host\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\n"
        b"a=pcfg:1 t=1\r\na=tcap:1 RTP/SAVP\r\na=x-unknown:kept\r\na=sendonly\r\n"
    )
    assert relayed(offer, {0: HOLDFAST}, Origin(7, 3)).encode() == (
        b"v=0\r\no=holdfast 7 3 IN IP4 10.0.0.1\r\ns=-\r\n"
        b"c=IN IP4 10.0.0.1\r\nb=AS:84\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 9 0 101\r\nb=TIAS:64000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\n"
        b"a=x-unknown:kept\r\na=sendonly\r\n"
    )


def test_keys_pass_in_their_order_without_the_suites_we_do_not_know() -> None:
    unknown = f"a=crypto:5 SEED_CTR_128_HMAC_SHA1_80 inline:{KEY}"
    offer = audio(CRYPTO_32, unknown, CRYPTO_80, protocol="RTP/SAVP")
    assert [f"a=crypto:{value}" for value in passed(offer).media[0].crypto] == [
        CRYPTO_32,
        CRYPTO_80,
    ]


def test_switched_off_keys_do_not_pass() -> None:
    offer = audio(CRYPTO_80)
    assert relayed(offer, {0: HOLDFAST}, Origin(7, 1), "off").media[0].crypto == []


def test_a_line_without_relay_is_refused_and_says_nothing() -> None:
    shown = relayed(BOTH, {1: HOLDFAST}, Origin(7, 1))
    assert shown.encode().endswith(b"m=audio 0 RTP/SAVP 0\r\nm=audio 20000 RTP/AVP 0\r\n")


def test_ipv6_and_a_second_address_are_written_where_they_belong() -> None:
    shown = relayed(BOTH, {0: ("2001:db8::1", 20000), 1: ("10.0.0.1", 20004)}, Origin(7, 1))
    assert b"c=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 20000" in shown.encode()
    assert b"m=audio 20004 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n" in shown.encode()


# Where the phone receives


def test_rtcp_is_the_next_port_or_what_the_phone_says() -> None:
    rtp = ("192.0.2.10", 4000)
    for lines, rtcp in (
        ((), ("192.0.2.10", 4001)),
        (("a=rtcp:53020",), ("192.0.2.10", 53020)),
        (("a=rtcp:53020 IN IP4 192.0.2.99",), ("192.0.2.99", 53020)),
        (("a=rtcp:none",), ("192.0.2.10", 4001)),
        (("a=rtcp:99999",), ("192.0.2.10", 4001)),
        (("a=rtcp-mux",), ("192.0.2.10", 4001)),
    ):
        assert remote_media(audio(*lines)) == [RemoteMedia(rtp, rtcp, "sendrecv")]


def test_refused_streams_have_no_address() -> None:
    assert remote_media(audio(port=0)) == [RemoteMedia(None, None, "sendrecv")]


def test_addresses_are_in_the_spelling_the_kernel_uses() -> None:
    offer = Session.parse(
        b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 2001:DB8:0:0::1\r\nt=0 0\r\n"
        b"m=audio 65535 RTP/AVP 0\r\n"
    )
    assert remote_media(offer) == [RemoteMedia(("2001:db8::1", 65535), None, "sendrecv")]


# Hold


@pytest.mark.parametrize("line", ["a=sendonly", "a=inactive"])
def test_hold_is_told_by_direction(line: str) -> None:
    assert is_hold(audio(line)) and not is_hold(audio()) and not is_hold(audio("a=recvonly"))


def test_hold_is_told_by_the_old_address_and_passed_on_in_todays_words() -> None:
    held = session("m=audio 4000 RTP/AVP 0", address="0.0.0.0")
    assert is_hold(held)
    assert remote_media(held) == [RemoteMedia(None, None, "sendonly")]
    assert passed(held).encode().endswith(b"m=audio 20000 RTP/AVP 0\r\na=sendonly\r\n")


def test_a_refused_stream_beside_a_held_one_does_not_end_the_hold() -> None:
    assert is_hold(session("m=audio 4000 RTP/AVP 0", "a=sendonly", "m=video 0 RTP/AVP 31"))
    assert not is_hold(audio(port=0))


@pytest.mark.parametrize(
    ("offered", "answered", "shown"),
    [
        ("sendonly", "sendrecv", "recvonly"),
        ("sendonly", "recvonly", "recvonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "sendonly", "sendonly"),
    ],
)
def test_an_answer_goes_no_further_than_the_offer(offered: str, answered: str, shown: str) -> None:
    answer = check_answer(audio(f"a={offered}"), audio(f"a={answered}"))
    assert answer.direction_of(answer.media[0]) == shown


# Answers


def test_a_good_answer_passes_unchanged() -> None:
    answer = audio("a=ptime:20", port=5000)
    assert check_answer(CLEAR, answer) == answer


def test_formats_that_were_not_offered_are_taken_out() -> None:
    offer = audio("a=rtpmap:101 telephone-event/8000", formats="0 8 101")
    answer = audio(
        "a=rtpmap:96 telephone-event/8000", "a=rtpmap:97 opus/48000/2", formats="97 0 96"
    )
    assert check_answer(offer, answer).media[0].formats == ("0", "96")


@pytest.mark.parametrize(
    "answer",
    [
        session(),
        session("m=audio 5000 RTP/AVP 0", "m=video 0 RTP/AVP 31"),
        session("m=video 5000 RTP/AVP 31"),
        audio(port=0),
        audio(formats="8"),
        audio(protocol="RTP/AVPF"),
        session("m=audio 5000 RTP/AVP 0", address="239.1.2.3"),
    ],
)
def test_what_is_no_answer_to_the_offer_is_refused(answer: Session) -> None:
    with pytest.raises(RemoteError) as refused:
        check_answer(CLEAR, answer)
    assert refused.value.status == 488


def test_a_refused_line_stays_refused() -> None:
    offer = session("m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 31")
    answer = session("m=audio 5000 RTP/AVP 0", "m=video 5002 RTP/AVP 31")
    assert [media.port for media in check_answer(offer, answer).media] == [5000, 0]


SECURE_OFFER = audio(CRYPTO_80, CRYPTO_32, protocol="RTP/SAVP")


def test_a_secure_answer_takes_one_offered_line() -> None:
    answer = audio(
        f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}", protocol="RTP/SAVP", port=5000
    )
    assert check_answer(SECURE_OFFER, answer) == answer


@pytest.mark.parametrize(
    "answer",
    [
        audio(protocol="RTP/SAVP"),
        audio(),
        audio(CRYPTO_80, CRYPTO_32, protocol="RTP/SAVP"),
        audio(f"a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{KEY}", protocol="RTP/SAVP"),
        audio(f"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}", protocol="RTP/SAVP"),
        audio("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", protocol="RTP/SAVP"),
    ],
)
def test_a_secure_offer_is_never_answered_in_the_clear_or_with_another_key(answer: Session) -> None:
    with pytest.raises(RemoteError) as refused:
        check_answer(SECURE_OFFER, answer)
    assert refused.value.status == 488


# Versions of our own descriptions


def test_the_version_grows_only_with_a_change() -> None:
    first = versioned(passed(CLEAR), None)
    assert versioned(passed(CLEAR), first) == first
    held = versioned(passed(audio("a=sendonly")), first)
    assert held.origin.version == first.origin.version + 1
    assert versioned(passed(CLEAR), held).origin.version == first.origin.version + 2


# Whatever comes


FULL = BOTH.encode() + b"a=rtcp:4003 IN IP4 192.0.2.12\r\na=ptime:20\r\na=sendonly\r\n"


@given(st.binary(max_size=30), st.integers(0, len(FULL)), st.integers(0, 30))
def test_damage_ends_in_a_description_or_a_refusal(noise: bytes, at: int, gone: int) -> None:
    try:
        damaged = Session.parse(FULL[:at] + noise + FULL[at + gone :])
        lines = check_offer(damaged, "preferred", before=SECURE)
        Session.parse(relayed(damaged, dict.fromkeys(lines, HOLDFAST), Origin(7, 1)).encode())
        check_answer(damaged, damaged)
        remote_media(damaged)
    except RemoteError as refused:
        assert refused.status in (400, 488)


@pytest.mark.parametrize(
    "body",
    [
        (CRYPTO_80 + "\r\n") * 500,
        "a=rtpmap:0 x/1\r\n" * 900,
        "a=candidate:" + "x" * 60000,
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + "inline:AA;" * 6000,
        "a=rtcp:" + "1 " * 30000,
    ],
)
def test_the_worst_descriptions_are_judged_in_linear_time(body: str) -> None:
    head = audio(formats=" ".join(str(number) for number in range(128))).encode()
    best = float("inf")
    for _ in range(3):  # the least, as the collector may come in the middle of one
        begin = time.process_time()
        with suppress(RemoteError):
            worst = Session.parse(head + body.encode())
            passed(worst)
            check_answer(worst, worst)
            check_offer(worst, "preferred")
        best = min(best, time.process_time() - begin)
    assert best < 0.02
