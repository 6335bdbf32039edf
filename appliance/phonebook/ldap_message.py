"""What a phone asks over LDAP, as far as the door to the directory has to understand it (RFC 4511).

The door lets searches and simple binds through and answers all else itself. It changes one thing:
a sort key without an ordering rule gets one, for slapd knows none for names, and phones send none.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.phonebook.ber import (
    ENUMERATED,
    INTEGER,
    OCTETS,
    SEQUENCE,
    Malformed,
    element,
    elements,
    whole,
    written,
)

__all__ = ["ANSWERS", "Malformed", "Request", "answer", "parse", "whole"]

BIND, UNBIND, SEARCH, COMPARE, ABANDON, EXTENDED = 0x60, 0x42, 0x63, 0x6E, 0x50, 0x77
ANSWERS = {BIND: 0x61, SEARCH: 0x65, COMPARE: 0x6F, EXTENDED: 0x78} | {
    0x66: 0x67,  # modify
    0x68: 0x69,  # add
    0x4A: 0x6B,  # delete
    0x6C: 0x6D,  # modify a name
}
"""Request to response; unbind and abandon have none."""
CONTROLS, SIMPLE = 0xA0, 0x80
RULE = 0x80
"""Of a sort key: its ordering rule (RFC 2891, 1.1)."""
NAME, VALUE = 0x80, 0x8A
"""Of extended requests and responses: the name; and the name in a response."""

START_TLS = b"1.3.6.1.4.1.1466.20037"
DISCONNECTION = b"1.3.6.1.4.1.1466.20036"
SORT = b"1.2.840.113556.1.4.473"
IGNORE_CASE = b"2.5.13.3"
"""caseIgnoreOrderingMatch (RFC 4517, 4.2.12)."""

SUCCESS, PROTOCOL_ERROR, NO_SUCH_METHOD, TLS_NEEDED, WRONG_PASSWORD = 0, 2, 7, 13, 49
BUSY, UNAVAILABLE, UNWILLING = 51, 52, 53


class Request(NamedTuple):
    """One message of a phone."""

    id: int
    kind: int
    """Tag of its operation, e.g. `SEARCH`."""
    data: bytes
    """As it is to be passed on."""
    simple: bool = True
    """Of a bind: by name and password, or anonymous; nothing else is for phones."""
    name: bytes = b""
    """Of an extended request: which; of a bind: in whose name."""


def parse(data: bytes) -> Request:
    """Read one whole message; raises Malformed."""
    outer = element(data, 0, len(data))
    parts = elements(data, outer.content, outer.end)
    number, operation = next(parts, None), next(parts, None)
    if number is None or operation is None or number.tag != INTEGER:
        raise Malformed("a message without a number or an operation")
    id = int.from_bytes(data[number.content : number.end], "big", signed=True)
    if not 0 < id < 1 << 31 or number.end - number.content > 4:
        raise Malformed("a number that no request has")
    controls = next(parts, None)
    request = Request(id, operation.tag, data)
    if operation.tag == BIND:
        said = list(elements(data, operation.content, operation.end))
        if [part.tag for part in said] != [INTEGER, OCTETS, SIMPLE]:
            return request._replace(simple=False)
        return request._replace(name=data[said[1].content : said[1].end])
    if operation.tag == EXTENDED:
        name = element(data, operation.content, operation.end)
        return request._replace(name=data[name.content : name.end] if name.tag == NAME else b"")
    if operation.tag == SEARCH and controls is not None and controls.tag == CONTROLS:
        asked = data[controls.content : controls.end]
        if (passed := _controls(asked)) != asked:
            body = data[outer.content : controls.begin] + written(CONTROLS, passed)
            return request._replace(data=written(SEQUENCE, body))
    return request


def bind_result(data: bytes) -> int | None:
    """Return the result that a whole message of slapd's gives to a bind; None: it is none."""
    outer = element(data, 0, len(data))
    for part in elements(data, outer.content, outer.end):
        if part.tag == ANSWERS[BIND]:
            code = element(data, part.content, part.end)
            return int.from_bytes(data[code.content : code.end], "big")
    return None


def _controls(data: bytes) -> bytes:
    """Return the controls, with ordering rules in those that sort."""
    return b"".join(_control(data[part.begin : part.end]) for part in elements(data, 0, len(data)))


def _control(data: bytes) -> bytes:
    outer = element(data, 0, len(data))
    parts = list(elements(data, outer.content, outer.end))
    if not parts:
        raise Malformed("a control without a name")
    name, *rest = parts
    if outer.tag != SEQUENCE or data[name.content : name.end] != SORT:
        return data
    if not rest or rest[-1].tag != OCTETS:
        return data
    value = rest[-1]
    keys = written(OCTETS, _sort_keys(data[value.content : value.end]))
    return written(SEQUENCE, data[outer.content : value.begin] + keys)


def _sort_keys(data: bytes) -> bytes:
    outer = element(data, 0, len(data))
    keys = elements(data, outer.content, outer.end)
    return written(SEQUENCE, b"".join(_sort_key(data[key.begin : key.end]) for key in keys))


def _sort_key(data: bytes) -> bytes:
    outer = element(data, 0, len(data))
    parts = list(elements(data, outer.content, outer.end))
    if not parts or any(part.tag == RULE for part in parts[1:]):
        return data
    rest = data[parts[0].end : outer.end]
    attribute = data[outer.content : parts[0].end]
    return written(SEQUENCE, attribute + written(RULE, IGNORE_CASE) + rest)


def answer(id: int, kind: int, code: int, text: str, name: bytes = b"") -> bytes:
    """Write a response of ours: `kind` is its tag, `code` its result; `name` for extended ones."""
    result = written(ENUMERATED, bytes((code,))) + written(OCTETS, b"")
    result += written(OCTETS, text.encode())
    if name:
        result += written(VALUE, name)
    number = id.to_bytes(id.bit_length() // 8 + 1, "big")
    return written(SEQUENCE, written(INTEGER, number) + written(kind, result))
