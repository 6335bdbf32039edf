"""sippy as a peer: its user agents joined to a B2BUA that asks callers for their digest.

Runs with an interpreter that has sippy (requirements-bench.txt), not with Holdfast's:
`python sippy_peer.py PORT SINK_PORT` serves on PORT and calls everybody at SINK_PORT.
"""

from __future__ import annotations

import sys
from typing import Any

from sippy.CCEvents import CCEventDisconnect, CCEventTry
from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.SipHeader import SipHeader
from sippy.SipTransactionManager import SipTransactionManager
from sippy.SipWWWAuthenticate import SipWWWAuthenticate
from sippy.UA import UA

REALM = "bench.example"
Answer = tuple[Any, Any, Any]
"""A response, whom to ask to cancel, and whom to tell of its absence: sippy has no types."""


class SilentLog:
    """Takes sippy's message log and drops it: writing it is no part of a call."""

    def write(self, *_words: object, **_options: object) -> None:
        """Drop one entry."""


class Call:
    """Two user agents that hand each other's events on."""

    def __init__(self, shared: dict[str, Any]) -> None:
        self.shared = shared
        self.caller = UA(shared, self.event)
        self.callee: Any = None

    def event(self, event: Any, agent: Any) -> None:
        """Pass an event to the other side; the first one makes the other side."""
        if agent is not self.caller:
            self.caller.recvEvent(event)
            return
        if self.callee is None:
            if not isinstance(event, CCEventTry):
                self.caller.recvEvent(CCEventDisconnect())
                return
            self.callee = UA(self.shared, event_cb=self.event, nh_address=self.shared["next_hop"])
        self.callee.recvEvent(event)


def challenge(request: Any) -> Answer:
    """Refuse a request that shows no credentials."""
    answer = request.genResponse(401, "Unauthorized")
    body = SipWWWAuthenticate(realm=REALM, algorithm="MD5")
    answer.appendHeader(SipHeader(name="www-authenticate", body=body))
    return answer, None, None


def take_request(shared: dict[str, Any], request: Any, transaction: Any) -> Answer:
    """Take a request outside of all dialogs."""
    if request.getHFBody("to").getTag() is not None:
        return request.genResponse(481, "No such call"), None, None
    if request.getMethod() != "INVITE":
        return request.genResponse(200, "OK"), None, None
    if request.countHFs("authorization") == 0:
        return challenge(request)
    shown = request.getHFBody("authorization")
    shown.parse()
    if not shown.verify(f"secret-{shown.username}", "INVITE"):
        return request.genResponse(403, "Forbidden"), None, None
    answer: Answer = Call(shared).caller.recvRequest(request, transaction)
    return answer


def main() -> None:
    """Serve until killed."""
    SipConf.my_uaname = "sippy"
    shared: dict[str, Any] = {
        "_sip_address": "127.0.0.1",
        "_sip_port": int(sys.argv[1]),
        "_sip_logger": SilentLog(),
        "next_hop": ("127.0.0.1", int(sys.argv[2])),
    }
    shared["_sip_tm"] = SipTransactionManager(
        shared, lambda request, transaction: take_request(shared, request, transaction)
    )
    ED2.loop()


if __name__ == "__main__":
    main()
