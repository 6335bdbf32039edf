"""A capture of packets: what may be asked for, and what has become of it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LONGEST, LARGEST = 600, 50
"""Seconds and megabytes of one capture."""

Word = Annotated[str, Meta(max_length=64)]
Port = Annotated[int, Meta(ge=1, le=65535)]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be captured. Ports of signalling are those of this site, and no others."""

    card: Annotated[str, Meta(max_length=15)] = ""
    """Empty: the one that leads out of the site."""
    seconds: Annotated[int, Meta(ge=1, le=LONGEST)] = 60
    megabytes: Annotated[int, Meta(ge=1, le=LARGEST)] = 10
    """Size of the file at which it ends."""
    hosts: Annotated[list[Word], Meta(max_length=8)] = []
    """Only packets from and to these addresses; empty: of all."""
    call: Word = ""
    """Id of a call: only its phones, and its ports of audio."""
    audio: bool = False
    """Keep heads of RTP too, and RTCP; never what is said."""
    ports: tuple[Port, Port] | None = None
    """First and last UDP port of audio; None: all that Holdfast uses."""


class Capture(msgspec.Struct, kw_only=True):
    """One capture, while it runs and afterwards."""

    id: str
    by: str
    """Who asked for it."""
    begun: float
    """Unix seconds."""
    ended: float | None = None
    card: str
    seconds: int
    megabytes: int
    hosts: list[str]
    call: str = ""
    audio: bool = False
    packets: int = 0
    octets: int = 0
    dropped: int = 0
    """Packets for which there was no time: calls go before captures."""
    ending: str = ""
    """Why it ended: `time`, `size`, `stopped`, or what went wrong."""
