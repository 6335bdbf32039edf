"""SDES key lines: every suite we pass on, and every attack of the reliability table (17)."""

from __future__ import annotations

import base64

import pytest

from appliance.errors import RemoteError
from appliance.sdp.crypto import SUITES, CryptoAttribute, read_crypto

KEY = base64.b64encode(bytes(range(30))).decode()
LINE = f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"


def key(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


@pytest.mark.parametrize(("suite", "length"), SUITES.items())
def test_every_suite_passes_with_its_own_key_length_only(suite: str, length: int) -> None:
    line = CryptoAttribute.parse(f"1 {suite} inline:{key(length)}")
    assert line.known and len(line.keys[0].key_salt) == length
    for wrong in (length - 1, length + 1, 0):
        with pytest.raises(RemoteError, match="488"):
            CryptoAttribute.parse(f"1 {suite} inline:{key(wrong)}")


@pytest.mark.parametrize(
    "value",
    [
        LINE,
        f"{LINE}|2^31|1:4",
        f"{LINE}|2^20",
        f"{LINE}|1:4;inline:{KEY}|2^20|2:4",
        f"{LINE} KDR=1 WSH=64",
    ],
)
def test_writing_is_the_inverse_of_reading(value: str) -> None:
    assert str(CryptoAttribute.parse(value)) == value


def test_padding_of_a_long_key_may_be_missing() -> None:
    padded = f"1 AES_256_CM_HMAC_SHA1_80 inline:{key(46)}"
    assert CryptoAttribute.parse(padded.rstrip("=")) == CryptoAttribute.parse(padded)


def test_a_key_is_in_no_repr_and_no_reason() -> None:
    assert "\\x01\\x02" not in repr(CryptoAttribute.parse(LINE))
    with pytest.raises(RemoteError) as refused:
        CryptoAttribute.parse(LINE[:-4])
    assert KEY[:10] not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        f"x AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        f"1234567890 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:",
        "1 AES_CM_128_HMAC_SHA1_80 ;",
        f"1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:-1]}*",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}=",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:20]}é{KEY[21:]}",
        f"{LINE}|2^",
        f"{LINE}|2^x",
        f"{LINE}|1:0",
        f"{LINE}|1:129",
        f"{LINE}|x:4",
        f"{LINE}|2^20|1:4|more",
        f"{LINE};inline:{KEY}",
        f"{LINE} UNENCRYPTED_SRTP",
        f"{LINE} unencrypted_srtcp",
        f"{LINE} UNAUTHENTICATED_SRTP",
        f"{LINE} SOMETHING_NEW",
    ],
)
def test_a_line_that_is_wrong_or_weak_is_refused_with_488(value: str) -> None:
    with pytest.raises(RemoteError) as refused:
        CryptoAttribute.parse(value)
    assert refused.value.status == 488


def test_the_same_tag_twice_is_refused() -> None:
    with pytest.raises(RemoteError, match="tag twice"):
        read_crypto([LINE, LINE])


def test_unknown_suites_are_left_out_beside_known_ones_and_refused_alone() -> None:
    unknown = f"2 SEED_CTR_128_HMAC_SHA1_80 inline:{KEY}"
    assert [line.tag for line in read_crypto([unknown, LINE])] == [1]
    with pytest.raises(RemoteError, match="no suite"):
        read_crypto([unknown])


def test_the_order_of_tags_is_kept() -> None:
    lines = [f"{tag} AEAD_AES_256_GCM inline:{key(44)}" for tag in (3, 1, 2)]
    assert [line.tag for line in read_crypto(lines)] == [3, 1, 2]


def test_too_many_lines_are_refused() -> None:
    lines = [f"{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}" for tag in range(33)]
    with pytest.raises(RemoteError, match="more than 32"):
        read_crypto(lines)
