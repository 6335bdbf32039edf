"""The door of the transaction layer: which transaction a message belongs to (RFC 3261, 17)."""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import RemoteError
from appliance.sip.arrival import note_source, reply_flow
from appliance.sip.client_transaction import ClientTransaction, TransactionUser
from appliance.sip.flow import Flow, host_port
from appliance.sip.identifiers import MAGIC_COOKIE, Identifiers
from appliance.sip.machine import MergeKey, Room
from appliance.sip.message import Request, Response
from appliance.sip.plain import path_key
from appliance.sip.retransmission import Retransmission
from appliance.sip.server_transaction import ServerTransaction, ServerUser, keep_answer
from appliance.sip.timers import TIMEOUT, TimerQueue

__all__ = [
    "ClientTransaction",
    "Retransmission",
    "ServerTransaction",
    "ServerUser",
    "TransactionUser",
    "Transactions",
]

MOST_SERVERS = 20_000
"""Requests being worked on at a time: 4,000 calls hold 8,000; above it somebody attacks us."""
MOST_CLIENTS = 40_000
"""Requests of ours that wait for answers: a call to a user with many phones rings each."""
MOST_ANSWERED = 65_536
"""Answers kept for retransmissions over UDP, 0.8 KB each: those of 8 s at 8,000/s, 50 MB."""

_COOKIE = MAGIC_COOKIE.lower()
_ALWAYS = frozenset(("ACK", "BYE", "CANCEL"))
"""What makes work less: taken and sent above every cap."""


class Transactions:
    """All transactions of one core.

    Each request that came goes to `absorb_ack` if it is an ACK, else to `seen` (True: done with
    it), then to whatever answers statelessly, then to `receive_request`.
    """

    def __init__(
        self,
        timers: TimerQueue,
        send: Callable[[Flow, bytes], None],
        identifiers: Identifiers,
        most_servers: int = MOST_SERVERS,
        most_clients: int = MOST_CLIENTS,
        most_answered: int = MOST_ANSWERED,
    ) -> None:
        self._room = Room(timers, send)
        self._clients = self._room.clients
        self._servers = self._room.servers
        self._answered = self._room.answered
        self._identifiers = identifiers
        self._most_servers = most_servers
        self._most_clients = most_clients
        self._most_answered = most_answered
        self._swept = float("-inf")
        self._new: Request | None = None
        self._new_key = ""

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers) + len(self._answered)

    # -- requests that come -----------------------------------------------------------------

    def seen(self, request: Request, flow: Flow, now: float) -> bool:
        """Tell whether the request is a retransmission; what was answered is answered again.

        First notes in the top Via where it came from, so that a stateless answer says so too.
        Never ask it about an ACK.
        """
        note_source(request, flow)
        key = server_key(request)
        if self.repeated(key, now):
            return True
        self._new, self._new_key = request, key
        return False

    def repeated(self, key: str, now: float) -> bool:
        """Tell whether a transaction has this key (see `server_key`), and answer once more."""
        found = self._answered.get(key) or self._servers.get(key)
        if found is None:
            return False
        found.step("request", now)
        return True

    def receive_request(self, request: Request, flow: Flow, now: float) -> ServerTransaction | None:
        """Begin a transaction; None for a retransmission. An INVITE is answered with 100 at once.

        Raises RemoteError(503) at the cap, except for what makes work less.
        """
        if request is not self._new and self.seen(request, flow, now):
            return None
        self._new, key = None, self._new_key
        method = request.method
        if len(self._servers) >= self._most_servers and method not in _ALWAYS:
            self._make_room(now)
        tx = ServerTransaction(self._room, request, reply_flow(request, flow), key, now)
        if method == "INVITE" and request.to.tag is None:
            tx.expect_merges(_merge_key(request))
        elif method == "CANCEL":
            tx.cancels = self._invite_of(request)
        tx.begin(now)
        self._forget_oldest(now)
        return tx

    def resume(self, request: Request, flow: Flow, now: float) -> ServerTransaction:
        """Take up an INVITE that an earlier process was answering; nothing is sent yet.

        `flow` is the way its answers go, as that process found it.
        """
        tx = ServerTransaction(self._room, request, flow, server_key(request), now)
        if request.to.tag is None:
            tx.expect_merges(_merge_key(request))
        return tx

    def answer(self, request: Request, response: Response, flow: Flow, now: float) -> None:
        """Send the final answer to a new request that is no INVITE, and repeat it as it must be.

        The same as `receive_request` and `respond`, for an answer that is there at once: no
        transaction is made for the moment between the two, so no cap applies.
        """
        if request is not self._new and self.seen(request, flow, now):
            return
        self._new, key = None, self._new_key
        self.send_answer(key, response.encode(), reply_flow(request, flow), now)

    def send_answer(self, key: str, data: bytes, flow: Flow, now: float) -> None:
        """Send the final answer to the new request of this key, and repeat it as it must be."""
        self._room.send(flow, data)
        if flow.transport == "UDP":
            keep_answer(self._room, key, flow, data, now)
            self._forget_oldest(now)

    def _forget_oldest(self, now: float) -> None:
        if len(self._answered) > self._most_answered:
            self._room.lanes["timer J"].expire_oldest(now)

    def absorb_ack(self, request: Request, flow: Flow, now: float) -> bool:
        """Take the ACK of a failed INVITE; False: it is that of a 2xx, which its dialog takes."""
        key = server_key(request)
        tx = self._servers.get(key)
        if not isinstance(tx, ServerTransaction):
            return False
        if "\n" in key and tx.final is not None and tx.final.to.tag != request.to.tag:
            return False
        return tx.step("ACK", now, request)

    def merged(self, request: Request) -> bool:
        """Tell whether an INVITE came already on another way: answer 482 (RFC 3261, 8.2.2.2)."""
        if request.to.tag is not None:
            return False
        other = self._room.invited.get(_merge_key(request))
        return other is not None and other is not self._servers.get(server_key(request))

    def _invite_of(self, cancel: Request) -> ServerTransaction | None:
        tx = self._servers.get(server_key(cancel, "INVITE"))
        return tx if isinstance(tx, ServerTransaction) else None

    def _make_room(self, now: float) -> None:
        """Abandon what nobody answered in 64*T1, looking at most once a second; else raise."""
        if now >= self._swept + 1:
            self._swept = now
            for tx in list(self._servers.values()):
                if isinstance(tx, ServerTransaction) and tx.since + TIMEOUT <= now:
                    tx.step("abandoned", now)
        if len(self._servers) >= self._most_servers:
            raise RemoteError(503, "too many requests are being worked on")

    # -- requests of ours -------------------------------------------------------------------

    def request(
        self, request: Request, flow: Flow, now: float, user: TransactionUser
    ) -> ClientTransaction:
        """Send a request with a Via of our own; `user` is told what becomes of it.

        The request is the transaction's from now on; when that is over it may be sent again,
        elsewhere. Raises RemoteError(503) at the cap, except for what makes work less.
        """
        if len(self._clients) >= self._most_clients and request.method not in _ALWAYS:
            raise RemoteError(503, "too many requests wait for their answers")
        branch = self._put_via(request, flow)
        tx = ClientTransaction(self._room, request, flow, branch, user)
        tx.begin(now)
        return tx

    def resume_invite(
        self, request: Request, flow: Flow, user: TransactionUser
    ) -> ClientTransaction:
        """Take up an INVITE that an earlier process has sent, its Via included; send nothing."""
        tx = ClientTransaction(self._room, request, flow, request.via.branch or "", user)
        tx.resume()
        return tx

    def send_ack(self, ack: Request, flow: Flow) -> None:
        """Send the ACK of a 2xx: a transaction of its own that nothing answers.

        The same ACK sent again, for a retransmitted 2xx, is the same octets.
        """
        if ack.first("Via") is None:
            self._put_via(ack, flow)
        self._room.send(flow, ack.encode())

    def send_ack_again(self, octets: bytes, flow: Flow) -> None:
        """Send an ACK that `send_ack` has sent before."""
        self._room.send(flow, octets)

    def _put_via(self, request: Request, flow: Flow) -> str:
        branch = MAGIC_COOKIE + self._identifiers.token()
        rport = "" if flow.reliable else ";rport"
        local = host_port(flow.local)
        request.begin_path(f"SIP/2.0/{flow.transport} {local}{rport};branch={branch}")
        return branch

    def receive_response(self, response: Response, flow: Flow, now: float) -> bool:
        """Hand a response to its transaction; False where there is none: drop it."""
        try:
            key = f"{response.via.branch} {response.cseq.method}"
        except RemoteError:
            return False
        tx = self._clients.get(key)
        if not isinstance(tx, ClientTransaction):
            return False
        tx.receive(response, flow, now)
        return True

    def lost(self, flow: Flow, now: float) -> None:
        """Fail every request that waits for an answer on this connection."""
        for tx in list(self._room.on_flow.get(flow, {}).values()):
            tx.step("transport error", now)


def server_key(request: Request, method: str = "") -> str:
    """Return what names a request's server transaction (RFC 3261, 17.2.3).

    `method` looks for another one's: that of the INVITE which a CANCEL is about.
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    if (plain := request.plain) is not None:
        branch, sender = path_key(plain)
        if branch is not None and branch.startswith(MAGIC_COOKIE) and len(branch) > 7:
            return f"{branch} {sender} {method}"
    via = request.via
    branch = via.params.get("branch") or ""
    if len(branch) > 7 and (branch.startswith(MAGIC_COOKIE) or branch[:7].lower() == _COOKIE):
        return f"{branch} {via.host.lower()}:{via.port} {method}"
    return _old_key(request, method)


def _old_key(request: Request, method: str) -> str:
    """Name the transaction of an RFC 2543 client by all that its messages have in common.

    The To tag is left out: an ACK has one where its INVITE has none, and within a dialog the
    CSeq tells two INVITEs apart.
    """
    via = request.via
    parts = (
        request.uri,
        request.from_.tag or "",
        request.call_id,
        str(request.cseq.number),
        f"{via.host.lower()}:{via.port};{via.branch}",
        method,
    )
    return "\n".join(parts)


def _merge_key(request: Request) -> MergeKey:
    return request.from_.tag or "", request.call_id, request.cseq.number
