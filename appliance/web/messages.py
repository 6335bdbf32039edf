"""What was said in one call: its SIP messages between whom, as a list, a drawing and a capture."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from appliance import __version__
from appliance.sip.flow import Transport, host_port
from appliance.sip.pcapng import Packed, pcapng

OURS = "Holdfast"
COMMENT = (
    "SIP messages of one call as Holdfast sent and received them. It saw no packets: the headers "
    "of IP, UDP and TCP are written anew. What went over TLS is in clear. Keys of SRTP (SDES), "
    "values of digest and pressed keys are hidden by x of the same length."
)
TEXT_SHOWN = 20_000
"""Characters of one message."""

LANE, ROW, HEAD, MARGIN = 150, 32, 40, 104
"""Pixels of the drawing: between parties, of a message, above the first one, beside all."""
LABEL = 22
"""Characters of a message's label."""

_start_of = re.compile(
    r"(?:SIP/2\.0 (\d{3}) ?([^\r\n]*)|([^ \r\n]{1,32}) ([^ \r\n]*) SIP/2\.0)"
).match
_user = re.compile(r"sips?:([^@:;>\s]{1,128})@", re.I).search
_from = re.compile(r"^(?:from|f)[ \t]*:([^\r\n]*)", re.I | re.M).search
_to = re.compile(r"^(?:to|t)[ \t]*:([^\r\n]*)", re.I | re.M).search
_cseq = re.compile(r"^cseq[ \t]*:[ \t]*\d+[ \t]+(\S+)", re.I | re.M).search


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One SIP message of a call."""

    at: float
    """Unix seconds."""
    after: float
    """Seconds since the first one."""
    source: str
    """Who sent it: an extension, a number or an address; `Holdfast`: we."""
    to: str
    """The same."""
    transport: Transport
    local: str
    """Our address and port."""
    remote: str
    """The other one's."""
    summary: str
    """Method, or status and reason; whether it has a description."""
    text: str
    """All of it; what is secret is hidden by x of the same length."""


class Messages(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a call."""

    call: str
    """The id of its record."""
    left_out: int
    """Messages in the middle that are not remembered."""
    messages: tuple[Said, ...]

    @property
    def parties(self) -> list[str]:
        """Everybody in the order in which they came, Holdfast second."""
        found = dict.fromkeys(
            name for said in self.messages for name in (said.source, said.to) if name != OURS
        )
        first, *others = found or [""]
        return [first, OURS, *others]


class Arrow(NamedTuple):
    """One message in the drawing; places in pixels."""

    y: int
    start: int
    end: int
    text: str
    time: str
    kind: str
    """Class of its colour: `asks`, `early`, `well` or `fails`."""


class Drawing(NamedTuple):
    """The ladder of a call."""

    width: int
    height: int
    lanes: list[tuple[int, str]]
    """Place and name of each party."""
    arrows: list[Arrow]


def drawing_of(told: Messages) -> Drawing:
    """Draw who said what to whom, one below the other."""
    places = {name: MARGIN + LANE * at for at, name in enumerate(told.parties)}
    arrows = []
    for number, said in enumerate(told.messages):
        start, end = places[said.source], places[said.to]
        away = 5 if end > start else -5
        text = said.summary if len(said.summary) <= LABEL else said.summary[: LABEL - 1] + "…"
        y, time = HEAD + ROW * (number + 1), f"{said.after:.3f}"
        arrows.append(Arrow(y, start, end - away, text, time, _kind(said.summary)))
    height = HEAD + ROW * len(arrows) + ROW // 2
    lanes = [(place, name) for name, place in places.items()]
    return Drawing(LANE // 2 + lanes[-1][0], height, lanes, arrows)


def _kind(summary: str) -> str:
    if summary[:3] in ("401", "407"):  # it is asked for a password, as always
        return "early"
    kinds = {"1": "early", "2": "well", "3": "fails", "4": "fails", "5": "fails", "6": "fails"}
    return kinds.get(summary[:1], "asks")


def messages_of(call: str, told: dict[str, Any]) -> Messages:
    """Read what core tells of a call."""
    rows = told["messages"]
    began = rows[0]["at"] if rows else 0.0
    names: dict[tuple[str, int], str] = {}
    said = tuple(_said(row, began, names) for row in rows)
    return Messages(call=call, left_out=told["left_out"], messages=said)


def file_of(told: dict[str, Any]) -> bytes:
    """Return the same as a file for packet analysers."""
    packed = []
    for row in told["messages"]:
        ends = _address(row["local"]), _address(row["remote"])
        source, destination = ends if row["sent"] else ends[::-1]
        packed.append(Packed(row["at"], row["transport"], source, destination, row["data"]))
    return pcapng(packed, COMMENT, f"Holdfast {__version__}")


def _said(row: dict[str, Any], began: float, names: dict[tuple[str, int], str]) -> Said:
    text = row["data"].decode("utf-8", "replace")
    remote = _address(row["remote"])
    other = names.get(remote)
    if other is None:
        other = names[remote] = _name(text, row["sent"]) or host_port(remote)
    return Said(
        at=row["at"],
        after=max(0.0, row["at"] - began),
        source=OURS if row["sent"] else other,
        to=other if row["sent"] else OURS,
        transport=row["transport"],
        local=host_port(_address(row["local"])),
        remote=host_port(remote),
        summary=_summary(text),
        text=text[:TEXT_SHOWN],
    )


def _name(text: str, sent: bool) -> str:
    """Return whose end it is: who sends a request of theirs, or who is asked by one of ours."""
    start = _start_of(text)
    if start is None or start[1] is not None:
        return ""
    if sent:
        asked = _user(start[4])
        return asked[1] if asked is not None else _user_in(_to(text))
    return _user_in(_from(text))


def _user_in(header: re.Match[str] | None) -> str:
    user = _user(header[1]) if header is not None else None
    return user[1] if user is not None else ""


def _summary(text: str) -> str:
    start = _start_of(text)
    if start is None:
        return "not SIP"
    what = start[3] or f"{start[1]} {start[2]}".strip()[:80]
    method = _cseq(text)
    if start[3] is None and method is not None and method[1] != "INVITE":
        what += f" ({method[1]})"
    return f"{what} with SDP" if "\nv=0" in text else what


def _address(pair: Any) -> tuple[str, int]:
    host, port = pair
    return str(host), int(port)
