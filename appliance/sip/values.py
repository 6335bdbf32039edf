"""Smaller header values, each frozen with `parse` and `str` as inverse pair."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.sip import scan

LARGEST_SECONDS = 2**32 - 1
"""Delta-seconds end here (RFC 3261, section 20.19)."""
LARGEST_SEQUENCE = 2**31 - 1
"""CSeq and RSeq numbers must be less than 2**31 (RFC 3261, 8.1.1.5; RFC 3262, 3)."""

Params = Mapping[str, str | None]


def _with_params(text: str) -> tuple[str, Params]:
    value, semicolon, params = text.partition(";")
    return value.strip(), scan.parameters(semicolon + params)


class RAck(msgspec.Struct, frozen=True):
    """Name the reliable provisional response that a PRACK acknowledges (RFC 3262, 7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> RAck:
        """Read a RAck value."""
        words = text.split()
        if len(words) != 3 or not scan.is_token(words[2]):
            scan.malformed("Bad RAck")
        rseq = scan.number(words[0], "RAck", LARGEST_SEQUENCE)
        return cls(rseq, scan.number(words[1], "RAck", LARGEST_SEQUENCE), words[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


class SessionExpires(msgspec.Struct, frozen=True):
    """Say when a session ends unless refreshed, and by whom; also Min-SE (RFC 4028, 4 and 5)."""

    seconds: int
    refresher: str = ""
    """`uac`, `uas` or empty."""

    @classmethod
    def parse(cls, text: str) -> SessionExpires:
        """Read a Session-Expires or Min-SE value."""
        seconds, params = _with_params(text)
        refresher = (params.get("refresher") or "").lower()
        if refresher not in ("", "uac", "uas"):
            scan.malformed("The refresher is neither uac nor uas")
        return cls(scan.number(seconds, "Session-Expires", LARGEST_SECONDS), refresher)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


class Replaces(msgspec.Struct, frozen=True):
    """Name the dialog that a new INVITE takes the place of (RFC 3891)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Read a Replaces value, already unescaped where it came from a Refer-To URI."""
        call_id, params = _with_params(text)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not call_id or not to_tag or not from_tag:
            scan.malformed("Replaces names no dialog")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


class TargetDialog(msgspec.Struct, frozen=True):
    """Name the dialog that a request outside it is about, as its sender knows it (RFC 4538)."""

    call_id: str
    local_tag: str
    remote_tag: str

    @classmethod
    def parse(cls, text: str) -> TargetDialog:
        """Read a Target-Dialog value."""
        call_id, params = _with_params(text)
        local_tag, remote_tag = params.get("local-tag"), params.get("remote-tag")
        if not call_id or not local_tag or not remote_tag:
            scan.malformed("Target-Dialog names no dialog")
        return cls(call_id, local_tag, remote_tag)

    def __str__(self) -> str:
        return f"{self.call_id};local-tag={self.local_tag};remote-tag={self.remote_tag}"


class Reason(msgspec.Struct, frozen=True):
    """Say why a request was sent, as in a CANCEL after another phone answered (RFC 3326)."""

    protocol: str
    """`SIP` or `Q.850`."""
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Reason:
        """Read one Reason value."""
        protocol, params = _with_params(text)
        if not scan.is_token(protocol):
            scan.malformed("Bad Reason")
        cause = params.get("cause")
        number = None if cause is None else scan.number(scan.unquote(cause), "Cause", 999)
        return cls(protocol, number, scan.unquote(params.get("text") or ""))

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        return f"{self.protocol}{cause}{f';text={scan.quote(self.text)}' if self.text else ''}"


class RetryAfter(msgspec.Struct, frozen=True):
    """Say when to try again (RFC 3261, 20.33); its comment is not kept."""

    seconds: int
    duration: int | None = None
    """How long the answerer will be there from then on, seconds."""

    @classmethod
    def parse(cls, text: str) -> RetryAfter:
        """Read a Retry-After value."""
        value, params = _with_params(_without_comment(text))
        duration = params.get("duration")
        return cls(
            scan.number(value, "Retry-After", LARGEST_SECONDS),
            None if duration is None else scan.number(duration, "Duration", LARGEST_SECONDS),
        )

    def __str__(self) -> str:
        return (
            str(self.seconds)
            if self.duration is None
            else (f"{self.seconds};duration={self.duration}")
        )


def _without_comment(text: str) -> str:
    before, opened, rest = text.partition("(")
    return before + rest.rpartition(")")[2] if opened else text
