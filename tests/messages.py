"""A call as core tells of it, for tests of who shows its messages."""

from __future__ import annotations

from typing import Any

CALLER, CALLEE = ("192.0.2.101", 5062), ("192.0.2.102", 49152)
OURS, OUR_TLS = ("192.0.2.10", 5060), ("192.0.2.10", 5091)
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.101\r\ns=-\r\nt=0 0\r\nm=audio 10000 RTP/SAVP 0\r\n"
HIDDEN = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'x' * 40}\r\n"
DIGEST = 'Digest username="1001", realm="a.example", nonce="xxxx", response="xxxx"'


def _text(start: str, number: int, method: str, who: str, more: str = "", body: str = "") -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.101:5062;branch=z9hG4bK{number}\r\n"
        f"From: <sip:1001@a.example>;tag=f\r\nTo: <sip:{who}@a.example>;tag=t\r\n"
        f"Call-ID: call-{who}\r\nCSeq: {number} {method}\r\n{more}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def messages(began: float = 1000.0) -> dict[str, Any]:
    """Give what core answers to `calls.messages`: one side over UDP, the other over TLS."""
    rows = []

    def said(after: float, caller: bool, sent: bool, data: bytes) -> None:
        ends = (OURS, CALLER) if caller else (OUR_TLS, CALLEE)
        transport = "UDP" if caller else "TLS"
        row = {"at": began + after, "sent": sent, "transport": transport, "data": data}
        rows.append(row | {"local": ends[0], "remote": ends[1]})

    offer = SDP + HIDDEN
    there = "sip:1002@a.example SIP/2.0"
    phone = "sip:1002@192.0.2.102:49152 SIP/2.0"
    said(0, True, False, _text(f"INVITE {there}", 1, "INVITE", "1002", body=offer))
    said(0.001, True, True, _text("SIP/2.0 401 Unauthorized", 1, "INVITE", "1002"))
    said(0.02, True, False, _text(f"ACK {there}", 1, "ACK", "1002"))
    given = f"Authorization: {DIGEST}\r\n"
    said(0.03, True, False, _text(f"INVITE {there}", 2, "INVITE", "1002", given, offer))
    said(0.031, True, True, _text("SIP/2.0 100 Trying", 2, "INVITE", "1002"))
    said(0.031, False, True, _text(f"INVITE {phone}", 1, "INVITE", "1002", body=offer))
    said(0.08, False, False, _text("SIP/2.0 180 Ringing", 1, "INVITE", "1002"))
    said(0.081, True, True, _text("SIP/2.0 180 Ringing", 2, "INVITE", "1002"))
    said(2.5, False, False, _text("SIP/2.0 200 OK", 1, "INVITE", "1002", body=offer))
    said(2.501, False, True, _text(f"ACK {phone}", 1, "ACK", "1002"))
    said(2.501, True, True, _text("SIP/2.0 200 OK", 2, "INVITE", "1002", body=offer))
    said(2.52, True, False, _text(f"ACK {there}", 2, "ACK", "1002"))
    said(9.0, True, False, _text(f"BYE {there}", 3, "BYE", "1002"))
    said(9.001, True, True, _text("SIP/2.0 200 OK", 3, "BYE", "1002"))
    said(9.001, False, True, _text(f"BYE {phone}", 2, "BYE", "1002"))
    said(9.03, False, False, _text("SIP/2.0 200 OK", 2, "BYE", "1002"))
    return {"messages": rows, "left_out": 0}
