"""Our side of a request that we sent (RFC 3261, section 17.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from appliance.sip.flow import Flow
from appliance.sip.machine import Act, Room, Transaction, program
from appliance.sip.message import Header, Message, Request, Response
from appliance.sip.timers import TIMEOUT
from appliance.sip.transaction import CLIENT, INVITE_CLIENT, Do, response_input

MAX_FORWARDS = "70"
"""Hops a request of ours may take (RFC 3261, section 8.1.1.6)."""
_SHARED = frozenset(("Via", "From", "To", "Call-ID", "Route"))


class TransactionUser(Protocol):
    """Who sent a request and waits for what becomes of it."""

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a provisional response, or the final one: a 2xx to INVITE each time it comes."""
        ...

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Take that no final response will come: 408 for silence, 503 for a broken transport."""
        ...


class ClientTransaction(Transaction):
    """Wait for the answer to one request, sending it again over UDP."""

    __slots__ = ("_cancelling", "_data", "_remembered", "method", "request", "user")

    def __init__(
        self, room: Room, request: Request, flow: Flow, branch: str, user: TransactionUser
    ) -> None:
        self._data = request.encode()
        self.method = method = request.method
        key = f"{branch} {method}"
        super().__init__(room, _INVITE if method == "INVITE" else _OTHER, flow, key, room.clients)
        self.request = request
        """The request as it was sent."""
        self.user = user
        self._cancelling: list[Header] | None = None
        self._remembered = False
        if flow.reliable:
            room.on_flow.setdefault(flow, {})[key] = self

    def settle(self, user: TransactionUser) -> None:
        """Let go of an INVITE that had its 2xx: `user` takes those that come again, if any do.

        Nobody may ask for `request` any more: it is 4 KB, and 32 s are left.
        """
        self.user = user
        self._data = b""
        del self.request

    @property
    def data(self) -> bytes:
        """The request in the octets that were sent."""
        return self._data

    def resume(self) -> None:
        """Wait for the final response to an INVITE that an earlier process has sent."""
        self.state, self._rows = "proceeding", _INVITE["proceeding"]

    def cancel(self, now: float, headers: Iterable[Header] = ()) -> None:
        """Cancel an INVITE, as soon as a provisional response allows it (RFC 3261, 9.1).

        The outcome is told as ever: a final response (487, or a 2xx that was faster), or `failed`.
        Harmless when there is a final response already, and the second time.
        """
        if self._cancelling is None:
            self._cancelling = list(headers)
            self.step("cancel", now)

    def receive(self, response: Response, flow: Flow, now: float) -> None:
        """Take a response that matched this transaction."""
        if self.flow.reliable and not self.flow.connection and flow.connection:
            self._stay_on(flow)
        self.step(response_input(self.method, response.status), now, response)

    def _stay_on(self, flow: Flow) -> None:
        """Use the connection that was opened for the request; its loss is ours from now on."""
        self._leave_flow()
        self.flow = flow
        self._room.on_flow.setdefault(flow, {})[self._key] = self

    def _leave_flow(self) -> None:
        others = self._room.on_flow.get(self.flow)
        if others is not None:
            others.pop(self._key, None)
            if not others:
                del self._room.on_flow[self.flow]

    def _forget(self) -> None:
        super()._forget()
        if self.flow.reliable:
            self._leave_flow()

    def _send(self, now: float, message: Message | None) -> None:
        self._room.send(self.flow, self._data)

    def _send_ack(self, now: float, response: Response) -> None:
        ack = self._alike("ACK")
        ack.set("To", response.first("To") or "")
        self._room.send(self.flow, ack.encode())

    def _send_cancel(self, now: float, message: Message | None) -> None:
        cancel = self._alike("CANCEL")
        for name, value in self._cancelling or ():
            cancel.add(name, value)
        self._arm("cancel unanswered", now + TIMEOUT)
        branch = self._key.partition(" ")[0]
        ClientTransaction(self._room, cancel, self.flow, branch, _NOBODY).begin(now)

    def _remember_cancel(self, now: float, message: Message | None) -> None:
        self._remembered = True

    def _send_cancel_if_remembered(self, now: float, message: Message | None) -> None:
        if self._remembered:
            self.step("cancel", now)

    def _pass_up(self, now: float, response: Response) -> None:
        self.user.response(self, response, now)
        if self.state == "completed":  # It hears no more of this; whatever it holds may go.
            self.user = _NOBODY

    def _alike(self, method: str) -> Request:
        """Build the ACK or CANCEL that belongs to this INVITE (RFC 3261, 17.1.1.3 and 9.1)."""
        headers = [header for header in self.request.headers if header[0] in _SHARED]
        headers.append(("CSeq", f"{self.request.cseq.number} {method}"))
        headers.append(("Max-Forwards", MAX_FORWARDS))
        return Request(method, self.request.uri, headers)


class _Nobody:
    """Care for nothing: what becomes of a CANCEL shows at its INVITE."""

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Do nothing."""

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Do nothing."""


_NOBODY = _Nobody()


def _fail(status: int) -> Act:
    def act(transaction: ClientTransaction, now: float, message: Message | None) -> None:
        transaction.user.failed(transaction, status, now)

    return act


_ACTS: Mapping[Do, Act] = {
    "send": ClientTransaction._send,
    "send ACK": ClientTransaction._send_ack,
    "send CANCEL": ClientTransaction._send_cancel,
    "send CANCEL if remembered": ClientTransaction._send_cancel_if_remembered,
    "remember CANCEL": ClientTransaction._remember_cancel,
    "pass up": ClientTransaction._pass_up,
    "fail 408": _fail(408),
    "fail 503": _fail(503),
}
_INVITE = program(INVITE_CLIENT, _ACTS)
_OTHER = program(CLIENT, _ACTS)
