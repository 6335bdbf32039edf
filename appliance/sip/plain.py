"""Read in one match what nearly every message looks like; all else is for the strict scanners.

The pattern takes only shapes that the strict scanners read the same way (a property test compares
them): header names spelt as registered, no folding, sip addresses without escapes. It replaces
splitting, naming, stripping and checking a dozen lines: 6 µs instead of 25.

It stays linear: inside a line each repetition is possessive over one class of characters, none of
which is a line break, and each line begins with another literal. What fails, fails at one place.
(A possessive repetition of a *group* would say the same more plainly; CPython 3.11 crashes on it.)
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

from appliance.sip.headers import CSeq, NameAddr, Via
from appliance.sip.names import FULL
from appliance.sip.patterns import HOST, PORT_LIMIT, TEXT, TOKEN, USER
from appliance.sip.scan import NO_PARAMS, parameters
from appliance.sip.uri import SipUri, uri_parameters

Groups = list[Any]
"""Text, or None for what is not there, by place."""

MAX_HEADERS = 100
"""Header lines: calls through many proxies have about 60."""

_PORT = rf"(?::{PORT_LIMIT}([0-9]{{1,5}}+))?"
_HOST_PORT = rf"({HOST}){_PORT}"
_NAME = rf"""(?:"([ !#-\[\]-~\x80-\uffff]*+)" ?|({TOKEN}) )?"""
_URI = rf"(sips?):(?:({USER})@)?{_HOST_PORT}(;[A-Za-z0-9\-_.!~*+:=;]++)?"
_PARTY = rf"{_NAME}<{_URI}>(?:;tag=({TOKEN}))?"
_INSTANCE = r'"<urn:uuid:[0-9A-Fa-f\-]++>"'
_PARAMS = r"[A-Za-z0-9\-.!%*_+~:=;]"
_BRANCH = rf"(?!z9hG4bK[;\r])({TOKEN})"
_PATH = rf"(?:(;rport)?;branch={_BRANCH}(;rport)?(?=\r)|(;[A-Za-z0-9\-.!%*_+~:=;\[\]]++))"

_CAPTURED = {
    "Via": rf"SIP/2\.0/(UDP|TCP|TLS) {_HOST_PORT}{_PATH}",
    "From": _PARTY,
    "To": _PARTY,
    "Call-ID": r"[!-+\--:<-~]++",
    "CSeq": r"([0-9]{1,9}) ([A-Z]++)",
    "Contact": rf"{_NAME}<{_URI}>(;{_PARAMS}++(?:{_INSTANCE}{_PARAMS}*+)?)?",
    "Max-Forwards": r"[0-9]{1,2}",
    "Expires": r"[0-9]{1,9}",
    "Content-Length": r"[0-9]{1,5}",
    "User-Agent": TEXT,
    "Authorization": TEXT,
    "Content-Type": r"[a-z/\-]++",
}
"""Headers that are read from the match; a second line of one makes the message not plain."""
_REQUIRED = ("Via", "From", "To", "Call-ID", "CSeq")
_KNOWN = "|".join(name for name in FULL if name not in _CAPTURED)
_UNKNOWN = rf"(?=[!-~])(?!(?i:{'|'.join(FULL)}|[a-z])[ \t]*:){TOKEN}"
"""A name nobody registered, in no spelling of one that is."""
_START = rf"(?:([A-Z]++) ({_URI}) SIP/2\.0|SIP/2\.0 ([1-6][0-9][0-9]) ([ -~\x80-\uffff]*+))\r\n"

METHOD, URI, STATUS, REASON = 0, 1, 7, 8
"""Places of the start line in `Groups`; parts follow the whole."""
AT: dict[str, int] = {}
"""Place of each captured header's whole value in `Groups`; its parts follow it."""


def _pattern() -> str:
    lines, required, place = [], [], re.compile(_START).groups
    for name, value in _CAPTURED.items():
        AT[name] = place
        lines.append(rf"{name}: (?({place + 1})(?!))({value})")
        if name in _REQUIRED:
            required.append(rf"(?({place + 1})|(?!))")
        place += 1 + re.compile(value).groups
    lines.append(rf"(?:{_KNOWN}|{_UNKNOWN}): {TEXT}")
    return rf"{_START}(?:(?:{'|'.join(lines)})\r\n){{0,{MAX_HEADERS}}}{''.join(required)}\r\n"


_match = re.compile(_pattern()).fullmatch
_VIA, _CONTACT, _CSEQ = AT["Via"], AT["Contact"], AT["CSeq"]
_parameters = itemgetter(
    *(URI + 5, _VIA + 7, AT["From"] + 7, AT["To"] + 7, _CONTACT + 7, _CONTACT + 8)
)
_NONE = (None,) * 6


def match_plain(text: str) -> Groups | None:
    """Return the parts of a message's head, or None where anything about it is unusual."""
    match = _match(text)
    return None if match is None else list(match.groups())


def wants_port(groups: Groups) -> bool:
    """Tell whether Via surely has an empty `rport`; where it has unusual parameters it may."""
    return bool(groups[_VIA + 4] or groups[_VIA + 6])


def path_key(groups: Groups) -> tuple[str | None, str]:
    """Return Via's branch, and host and port as one text; no branch where others come with it."""
    port = groups[_VIA + 3]
    return groups[_VIA + 5], f"{groups[_VIA + 2].lower()}:{int(port) if port else None}"


def method_of(groups: Groups) -> str:
    """Return the method that CSeq names."""
    method: str = groups[_CSEQ + 2]
    return method


def has_parameters(groups: Groups) -> bool:
    """Tell whether there are parameters whose shape the pattern has not looked at."""
    found: tuple[str | None, ...] = _parameters(groups)
    return found != _NONE


def read_target(groups: Groups) -> SipUri:
    """Return the Request-URI."""
    scheme, user, host, port, params = groups[URI + 1 : URI + 6]
    return _uri(scheme, user, host, port, params)


def read_via(groups: Groups) -> Via:
    """Return the only Via."""
    transport, host, port, early, branch, late, others = groups[_VIA + 1 : _VIA + 8]
    if others:
        params = parameters(others)
    else:
        params = {"branch": branch, "rport": None} if early or late else {"branch": branch}
    return Via(transport, host, int(port) if port else None, params)


def read_party(groups: Groups, at: int) -> NameAddr:
    """Return From or To, from their place."""
    quoted, word, scheme, user, host, port, params, tag = groups[at + 1 : at + 9]
    uri = _uri(scheme, user, host, port, params)
    return NameAddr(quoted or word or "", uri, {"tag": tag} if tag else NO_PARAMS)


def read_contacts(groups: Groups) -> tuple[NameAddr, ...]:
    """Return the only Contact, or nothing."""
    if groups[_CONTACT] is None:
        return ()
    quoted, word, scheme, user, host, port, params, further = groups[_CONTACT + 1 : _CONTACT + 9]
    uri = _uri(scheme, user, host, port, params)
    return (NameAddr(quoted or word or "", uri, parameters(further) if further else NO_PARAMS),)


def read_cseq(groups: Groups) -> CSeq:
    """Return the CSeq."""
    return CSeq(int(groups[_CSEQ + 1]), groups[_CSEQ + 2])


def _uri(scheme: str, user: str | None, host: str, port: str | None, params: str | None) -> SipUri:
    number = int(port) if port else None
    if params:
        return SipUri(scheme, user, host.lower(), number, None, uri_parameters(params[1:]))
    return SipUri(scheme, user, host.lower(), number)
