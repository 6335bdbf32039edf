"""Our side of a request that somebody sent us (RFC 3261, section 17.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from appliance.sip.flow import Flow
from appliance.sip.machine import Act, MergeKey, Room, Transaction, program
from appliance.sip.message import Message, Request, Response
from appliance.sip.transaction import INVITE_SERVER, SERVER, Do, response_input


class ServerUser(Protocol):
    """Who wants to know what became of a refused INVITE."""

    def acknowledged(self, tx: ServerTransaction, ack: Request, now: float) -> None:
        """Take the ACK of a final response that was no 2xx."""
        ...

    def unacknowledged(self, tx: ServerTransaction, now: float) -> None:
        """Take that no ACK came within 64*T1 of a final response that was no 2xx."""
        ...


class ServerTransaction(Transaction):
    """Answer one request; `respond` may be called until the first final response.

    After a 2xx to an INVITE its user repeats it with `retransmit` until the ACK comes (RFC 3261,
    13.3.1.4); retransmitted INVITEs are absorbed meanwhile (RFC 6026).
    """

    __slots__ = (
        *("_last", "_merge_key", "_settled", "cancels", "final", "method", "request", "since"),
        *("status", "user"),
    )

    def __init__(self, room: Room, request: Request, flow: Flow, key: str, now: float) -> None:
        self.method = method = request.method
        super().__init__(room, _INVITE if method == "INVITE" else _OTHER, flow, key, room.servers)
        self.request = request
        self._last: bytes | None = None
        self._merge_key: MergeKey | None = None
        self._settled = False
        self.since = now
        """When the request came."""
        self.status = 0
        """Of the last response sent; 0 before any, 100 to 199 while the final one is owed."""
        self.final: Response | None = None
        """The final response sent."""
        self.user: ServerUser | None = None
        self.cancels: ServerTransaction | None = None
        """The INVITE that a CANCEL is about, None where there is none (answer 481)."""

    def respond(self, response: Response, now: float) -> bool:
        """Send a response; False, and nothing sent, when a final one has been sent before."""
        return self.step(response_input(self.method, response.status), now, response)

    def retransmit(self, response: Response, now: float) -> bool:
        """Send a 2xx or a reliable provisional response to the INVITE once more."""
        return self.respond(response, now)

    @property
    def last(self) -> bytes:
        """The response sent last, as it went; empty before the first."""
        return self._last or b""

    def settle(self) -> None:
        """Let go of what only an answer needs: nobody will ask for `request` any more.

        Harmless twice. A refusal is still repeated; a 2xx is not, as there is no dialog now.
        """
        if self.status < 200 or self._settled:
            return
        self._settled = True
        del self.request
        if self.state == "accepted":
            self._last = self.final = None

    def forget(self) -> None:
        """Be found no more: an earlier process has ended this transaction."""
        self._forget()

    def expect_merges(self, key: MergeKey) -> None:
        """Be found under this key when the INVITE comes once more on another way."""
        self._merge_key = key
        self._room.invited.setdefault(key, self)

    def _forget(self) -> None:
        super()._forget()
        if self._merge_key is not None and self._room.invited.get(self._merge_key) is self:
            del self._room.invited[self._merge_key]

    def _send(self, now: float, response: Response) -> None:
        self._last = data = response.encode()
        self.status = response.status
        if response.status >= 200:
            self.final = response
        self._room.send(self.flow, data)

    def _send_again(self, now: float, message: Message | None) -> None:
        if self._last is not None:
            self._room.send(self.flow, self._last)

    def _send_trying(self, now: float, message: Message | None) -> None:
        self._send(now, self.request.response(100))

    def _pass_ack_up(self, now: float, ack: Request) -> None:
        if self.user is not None:
            self.user.acknowledged(self, ack, now)

    def _report_missing_ack(self, now: float, message: Message | None) -> None:
        if self.user is not None:
            self.user.unacknowledged(self, now)

    def _keep_answer(self, now: float, message: Message | None) -> None:
        if self.flow.transport == "UDP":
            del self._room.servers[self._key]
            if self._last is not None:
                keep_answer(self._room, self._key, self.flow, self._last, now)
        else:
            self.step("timer J", now)


class _Answered(Transaction):
    """Stand in for a completed transaction over UDP until timer J: its answer and nothing else.

    10,000 phones that register are answered from 8 MB then, and not from 40 with all they asked.
    """

    __slots__ = ("_last",)

    def __init__(self, room: Room, key: str, flow: Flow, last: bytes) -> None:
        self._room = room
        self.state, self._rows = "completed", _COMPLETED
        self._key = key
        self._shelf = shelf = room.answered
        self._timers = None
        self._last = last
        self.flow = flow
        shelf[key] = self


def keep_answer(room: Room, key: str, flow: Flow, last: bytes, now: float) -> None:
    """Repeat the final answer to a non-INVITE request until timer J, over UDP."""
    room.lanes["timer J"].add(_Answered(room, key, flow, last), now)


_ACTS: Mapping[Do, Act] = {
    "send": ServerTransaction._send,
    "send again": ServerTransaction._send_again,
    "send 100": ServerTransaction._send_trying,
    "pass ACK up": ServerTransaction._pass_ack_up,
    "report missing ACK": ServerTransaction._report_missing_ack,
    "start J": ServerTransaction._keep_answer,
}
_INVITE = program(INVITE_SERVER, _ACTS)
_OTHER = program(SERVER, _ACTS)
_COMPLETED = _OTHER["completed"]
