"""Bodies of several parts: what is joined comes apart again, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip.multipart import PARTS_LIMIT, Part, join, split

SDP = Part("application/sdp", b"v=0\r\n")
PLACE = Part("application/pidf+xml", b"<presence/>", (("Content-ID", "<a@b>"),))


def test_what_is_joined_comes_apart() -> None:
    kind, body = join([SDP, PLACE], "x1")
    assert kind == 'multipart/mixed;boundary="x1"'
    assert split(kind, body) == [SDP, PLACE]


CONTENT = st.binary(max_size=50).filter(lambda octets: b"--edge" not in octets)


@given(st.lists(CONTENT, min_size=1, max_size=PARTS_LIMIT))
def test_whatever_the_parts_hold(contents: list[bytes]) -> None:
    parts = [Part("application/x", content) for content in contents]
    assert split(*join(parts, "edge")) == parts


def test_what_stands_before_and_behind_is_no_part() -> None:
    body = b"hello\r\n--x\r\n\r\nfirst\r\n--x--\r\nbye"
    assert split("multipart/mixed; boundary=x", body) == [Part("text/plain", b"first")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--x\r\n\r\na\r\n--x--"),
        ("multipart/mixed;boundary=", b"--x\r\n\r\na\r\n--x--"),
        ("multipart/mixed;boundary=" + "x" * 71, b""),
        ("multipart/mixed;boundary=x", b""),
        ("multipart/mixed;boundary=x", b"--x\r\n\r\nno end"),
        ("multipart/mixed;boundary=x", b"--x\r\n\r\na\r\n--x\r\n\r\nno end"),
        ("multipart/mixed;boundary=x", b"--x\r\nnothing\r\n--x--"),
        ("multipart/mixed;boundary=x", b"--x\r\n\r\na\r\n" * (PARTS_LIMIT + 1) + b"--x--"),
    ],
)
def test_nonsense_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        split(kind, body)
    assert caught.value.status == 400
