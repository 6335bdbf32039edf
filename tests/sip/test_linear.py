"""The worst input costs what its length costs: eight times the octets, not sixty-four times.

Each shape below once sent some parser, somewhere, into quadratic or exponential time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from appliance.errors import RemoteError
from appliance.sip.credentials import Credentials
from appliance.sip.framing import MAX_HEAD, StreamFramer, parse
from appliance.sip.headers import CSeq, NameAddr, Reason, Replaces, RetryAfter, Via
from appliance.sip.message import Request
from appliance.sip.scan import split_top
from appliance.sip.uri import parse_uri
from appliance.sip.validate import check_request

START = "REGISTER sip:a SIP/2.0\r\n"
PLAIN = START + "Via: SIP/2.0/UDP a;branch=b\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n"


def read(text: str) -> None:
    message = parse(text.encode())
    if isinstance(message, Request):
        check_request(message)
    message.values("Contact")


SHAPES: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "unclosed quotes": (NameAddr.parse, lambda n: '"' + "\\" * n),
    "quotes that never match": (NameAddr.parse, lambda n: '"a" ' * (n // 4)),
    "blanks before a bracket": (NameAddr.parse, lambda n: "a" + " " * n + "<sip:a"),
    "open brackets": (NameAddr.parse, lambda n: "<" * n),
    "display words": (NameAddr.parse, lambda n: "a " * (n // 2)),
    "semicolons": (NameAddr.parse, lambda n: "<sip:a@b>" + ";" * n),
    "parameters": (NameAddr.parse, lambda n: "<sip:a@b>" + ";a=b" * (n // 4) + ","),
    "quoted parameters": (NameAddr.parse, lambda n: "<sip:a@b>" + ';a=""' * (n // 5) + ';"'),
    "user without host": (parse_uri, lambda n: "sip:" + "a" * n + " "),
    "at signs": (parse_uri, lambda n: "sip:" + "a@" * (n // 2)),
    "escapes": (parse_uri, lambda n: "sip:" + "%41" * (n // 3) + "%@b"),
    "uri headers": (parse_uri, lambda n: "sip:a?" + "a=b&" * (n // 4)),
    "port digits": (parse_uri, lambda n: "sip:a:" + "0" * n),
    "brackets of IPv6": (parse_uri, lambda n: "sip:[" + ":" * n),
    "slashes": (Via.parse, lambda n: "SIP" + "/" * n),
    "via blanks": (Via.parse, lambda n: "SIP / 2.0 / UDP" + " " * n + ";"),
    "via parameters": (Via.parse, lambda n: "SIP/2.0/UDP a" + ";b" * (n // 2) + ";;"),
    "digest fields": (Credentials.parse, lambda n: "Digest " + 'a="b", ' * (n // 7)),
    "digest quotes": (Credentials.parse, lambda n: 'Digest username="' + '\\"' * (n // 2)),
    "digest repeats": (Credentials.parse, lambda n: "Digest " + 'nonce="",' * (n // 9)),
    "digest commas": (Credentials.parse, lambda n: "Digest " + "," * n),
    "cseq digits": (CSeq.parse, lambda n: "9" * n + " A"),
    "comments": (RetryAfter.parse, lambda n: "1 " + "(" * n + ")" * n),
    "reason text": (Reason.parse, lambda n: 'SIP;text="' + "a;" * (n // 2)),
    "replaces": (Replaces.parse, lambda n: "a" + ";to-tag=b" * (n // 9)),
    "commas": (
        lambda text: split_top(text, ","),
        lambda n: '"' + "," * (n // 2) + '",' + "<,>" * (n // 6),
    ),
    "folds": (read, lambda n: START + "Subject: a\r\n" + " \r\n" * (n // 3)),
    "short lines": (read, lambda n: START + "a\r\n" * (n // 3)),
    "colons": (read, lambda n: PLAIN + ":" * n + "\r\n\r\n"),
    "a long plain line": (read, lambda n: PLAIN + "Subject: " + "a" * n + "\x01\r\n\r\n"),
    "plain lines": (read, lambda n: PLAIN + "Subject: a\r\n" * (n // 12) + "\x01\r\n\r\n"),
    "unknown lines": (read, lambda n: PLAIN + "Zz-Top: a\r\n" * 90 + "a" * (n - 1000) + "\r\n\r\n"),
    "names nobody knows": (read, lambda n: PLAIN + "Content-" * (n // 8) + ": a\r\n\r\n"),
    "plain text of blanks": (read, lambda n: PLAIN + "Subject: a" + " " * n + "\r\n\r\n"),
    "a long plain user": (read, lambda n: PLAIN + "Contact: <sip:" + "a" * n + ">x\r\n\r\n"),
    "plain parameters": (
        read,
        lambda n: PLAIN + "Contact: <sip:a>;" + "a=" * (n // 2) + "\r\n\r\n",
    ),
    "contacts": (read, lambda n: PLAIN + "m: " + "<sip:a@b>," * (n // 10) + "\r\n\r\n"),
    "vias": (read, lambda n: START + "Via: " + "SIP/2.0/UDP a," * (n // 14) + "\r\n\r\n"),
    "line breaks": (read, lambda n: "\r\n" * (n // 2)),
    "carriage returns": (read, lambda n: START + "\r" * n),
}


def cost(work: Callable[[str], object], text: str) -> float:
    """Return the seconds on a processor of the quickest of five runs."""
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        with contextlib.suppress(RemoteError):
            work(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("shape", SHAPES)
def test_the_longest_head_of_any_shape_is_read_in_time(shape: str) -> None:
    work, build = SHAPES[shape]
    longest = MAX_HEAD - len(PLAIN) - 40
    full = cost(work, build(longest))
    assert full < 0.02
    assert full < 8 * 4 * max(cost(work, build(longest // 8)), 20e-6)


def test_a_stream_fed_octet_by_octet_is_searched_once() -> None:
    framer, data = (
        StreamFramer(),
        b"OPTIONS sip:a@b SIP/2.0\r\nSubject: " + b"\r" * (MAX_HEAD - 100),
    )
    start = time.process_time()
    for at in range(len(data)):
        assert framer.feed(data[at : at + 1]) == []
    assert time.process_time() - start < 0.5
    assert framer.pending
