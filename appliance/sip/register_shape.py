"""Read a REGISTER in the shape in which this site's phones write it.

A phone writes each of its REGISTERs alike: the same headers in the same order. From one that was
read in the general way, a pattern for its shape is made; it reads the next one in a third of the
time, because nothing has to be tried. It takes only what the general way reads the same.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from appliance.sip.credentials import Credentials
from appliance.sip.names import NAMES
from appliance.sip.patterns import ADDRESS, HOST, PORT, PORT_LIMIT, TEXT, TOKEN, USER

MOST_SHAPES = 16
"""A site has phones of a few models; each shape in front of the right one costs 0.4 us."""
MOST_TRIES = 256
"""Attempts to learn: a phone whose REGISTER cannot be learnt must not cost 50 us each time."""

_HARMLESS: Final = frozenset(
    (
        *("Accept", "Accept-Encoding", "Accept-Language", "Allow", "Allow-Events", "Call-Info"),
        *("Date", "Event", "Organization", "Server", "Subject", "Supported"),
    )
)
"""Registered headers that change nothing about the answer to a REGISTER."""
_REGISTERED = frozenset(name.lower() for name in NAMES)
_is_word = re.compile(r"[A-Za-z][A-Za-z0-9\-]{1,40}").fullmatch
_HOST_PORT = rf"(?P<host>{HOST})(?::{PORT_LIMIT}(?P<port>[0-9]{{1,5}}+))?"
_VIA = rf"SIP/2\.0/(?:UDP|TCP|TLS) {_HOST_PORT}"
_BRANCH = rf";branch=(?P<branch>z9hG4bK{TOKEN})"
_PATHS: Final = (
    rf"(?P<via>{_VIA}{_BRANCH}(?P<rport>;rport))(?P<tail>)",
    rf"(?P<via>{_VIA}(?P<rport>;rport))(?P<tail>{_BRANCH})",
    rf"(?P<via>{_VIA}{_BRANCH})",
)
_PLAIN_URI = rf"sips?:(?:{USER}@)?{HOST}{PORT}(?:;transport=[a-zA-Z]++)?(?:;line=[A-Za-z0-9]++)?"
_FURTHER = r"[A-Za-z0-9\-.!%*_+~:=;]"
_INSTANCE = r'"<urn:uuid:[0-9A-Fa-f\-]++>"'
_FIXED: Final = {
    "From": rf"(?P<from>{ADDRESS}(?:;tag={TOKEN})?)",
    "To": rf"(?P<to><sips?:(?P<user>{USER})@(?P<domain>{HOST}){PORT}>)",
    "Call-ID": r"(?P<call_id>[!-+\--:<-~]++)",
    "CSeq": r"(?P<cseq>[0-9]{1,9}) REGISTER",
    "Contact": rf"(?P<contact><(?P<bare>{_PLAIN_URI})>"
    rf"(?P<further>;{_FURTHER}++(?:{_INSTANCE}{_FURTHER}*+)?)?)",
    "Max-Forwards": r"[0-9]{1,2}",
    "Expires": r"(?P<expires>[0-9]{1,9})",
    "User-Agent": rf"(?P<agent>{TEXT})",
    "Content-Length": r"0",
}
_NEEDED = frozenset(("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Authorization"))
_START = rf"REGISTER (?P<uri>sips?:{HOST}{PORT}) SIP/2\.0\r\n"

_QUOTED = ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque")
_BARE = ("algorithm", "qop", "nc")
_field = re.compile(r'([a-z]+)=("?)([^"\\,]*)("?)(, ?(?=[a-z])|\Z)').match

_PARTS: Final = (
    *("uri", "via", "rport", "tail", "host", "port", "branch", "from", "to", "user", "domain"),
    *("call_id", "cseq", "contact", "bare", "further", "expires", "agent", "username", "realm"),
    *("nonce", "signed", "response", "cnonce", "opaque", "algorithm", "qop", "nc"),
)


class ShapedRegister(NamedTuple):
    """The parts of a REGISTER, as text; None for what is not there."""

    uri: str
    via: str
    """The top Via, or what of it stands before `tail`."""
    rport: str | None
    """None: the sender did not ask for it."""
    tail: str | None
    host: str
    port: str | None
    branch: str
    from_: str
    to: str
    user: str
    domain: str
    call_id: str
    cseq: str
    contact: str
    """All of Contact."""
    bare: str
    """Its URI."""
    further: str | None
    """Its parameters."""
    expires: str | None
    agent: str | None
    username: str | None
    """None: there are no credentials, and no further parts."""
    realm: str
    nonce: str
    signed: str
    """The URI that the digest is about."""
    response: str
    cnonce: str | None
    opaque: str | None
    algorithm: str | None
    qop: str | None
    nc: str | None

    @property
    def credentials(self) -> Credentials | None:
        """Return what the phone proves itself with."""
        username = self.username
        if username is None:
            return None
        return Credentials(
            "digest",
            username,
            self.realm,
            self.nonce,
            self.signed,
            self.response,
            self.cnonce or "",
            self.opaque or "",
            (self.algorithm or "MD5").upper(),
            self.qop or "",
            self.nc or "",
        )


class RegisterShapes:
    """Learn shapes from the first, and read all others that fit."""

    def __init__(self) -> None:
        self._shapes: list[tuple[re.Pattern[str], tuple[int, ...]]] = []
        self._tries = 0

    def __len__(self) -> int:
        return len(self._shapes)

    def read(self, text: str) -> ShapedRegister | None:
        """Return the parts of a whole message; None: none of the shapes is its."""
        for pattern, places in self._shapes:
            match = pattern.fullmatch(text)
            if match is not None:
                return ShapedRegister._make(match.group(*places))
        return None

    def learn(self, text: str) -> None:
        """Take the shape of a REGISTER with credentials that was read and accepted.

        Never learn from strangers: the places are few.
        """
        if len(self._shapes) >= MOST_SHAPES or self._tries >= MOST_TRIES:
            return
        self._tries += 1
        source = _shape(text)
        if source is None:
            return
        pattern = re.compile(source)
        if pattern.fullmatch(text):
            groups = pattern.groupindex
            self._shapes.append((pattern, tuple([groups[name] for name in _PARTS])))


def _shape(text: str) -> str | None:
    """Return the pattern of a message's shape; None where a line is of no usual form."""
    lines = text.removesuffix("\r\n\r\n").split("\r\n")[1:]
    pairs = [(name, value) for name, _, value in [line.partition(": ") for line in lines]]
    names = {name for name, _ in pairs}
    if not names >= _NEEDED or len(names) < len(pairs):
        return None
    patterns = [_START]
    for name, value in pairs:
        pattern = _line(name, value)
        if pattern is None:
            return None
        patterns.append(pattern)
    whole = "".join(patterns)
    missing = [rf"(?P<{part}>(?!))?" for part in _PARTS if f"(?P<{part}>" not in whole]
    return rf"{whole}\r\n{''.join(missing)}"


def _line(name: str, value: str) -> str | None:
    """Return the pattern of one line with its end; None for one that is not to be learnt."""
    if name == "Via":
        fitting = [path for path in _PATHS if re.fullmatch(path, value)]
        return rf"Via: {fitting[0]}\r\n" if fitting else None
    if name == "Authorization":
        fields = _authorization(value)
        return None if fields is None else rf"(?:Authorization: {fields}\r\n)?"
    if name in _FIXED:
        return rf"{name}: {_FIXED[name]}\r\n"
    if name in _HARMLESS or (_is_word(name) and name.lower() not in _REGISTERED):
        return rf"{name}: {TEXT}\r\n"
    return None


def _authorization(value: str) -> str | None:
    """Return the pattern of these credentials' fields, in their order."""
    scheme, _, rest = value.partition(" ")
    if scheme != "Digest":
        return None
    at, seen, patterns = 0, set[str](), ["Digest "]
    while at < len(rest):
        field = _field(rest, at)
        if field is None or field[1] in seen or field[2] != field[4]:
            return None
        name, quote, _, _, behind = field.groups()
        seen.add(name)
        group = "signed" if name == "uri" else name
        if name in _QUOTED and quote:
            patterns.append(rf'{name}="(?P<{group}>[ !#-\[\]-~]*+)"{behind}')
        elif name in _BARE:
            patterns.append(rf"{name}={quote}(?P<{group}>[A-Za-z0-9\-]++){quote}{behind}")
        else:
            return None
        at = field.end()
    return "".join(patterns) if seen >= {"username", "realm", "nonce", "uri", "response"} else None
