"""Answer the REGISTER that nearly every phone sends, without building messages.

When a site loses its cloud, all its phones register within seconds. Their REGISTERs are alike, so
they are read by their shape (`sip.register_shape`) and answered as text. What is unusual in any
way goes the general way; a property test holds that both ways give the same answers and bindings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.bundle import User
from appliance.call.actions import Action, Send
from appliance.errors import RemoteError
from appliance.pbx.authentication import Authentication, Refusal
from appliance.pbx.registrar import LONGEST_TEXT, Registrar, Registration
from appliance.sip.flow import Flow
from appliance.sip.matching import Transactions
from appliance.sip.message import Header
from appliance.sip.register_shape import RegisterShapes, ShapedRegister
from appliance.sip.status import reason_of

Decision = tuple[int, str, Iterable[Header]]

LONGEST = 4096
"""Octets; a longer REGISTER is for the scanners that know each limit."""


class StraightRegistrar:
    """Take REGISTERs of known shapes; `learn` makes a shape known."""

    def __init__(
        self,
        registrar: Registrar,
        authentication: Authentication,
        transactions: Transactions,
        shapes: RegisterShapes,
        emit: Callable[[Action], None],
    ) -> None:
        self._registrar = registrar
        self._authentication = authentication
        self._transactions = transactions
        self._shapes = shapes
        self._emit = emit
        self._tag = registrar.tag

    def receive(self, data: bytes, flow: Flow, now: float) -> bool:
        """Do what a REGISTER wants and answer it; False: nothing was done, for it is unusual."""
        if len(data) > LONGEST or not data.isascii():
            return False
        asked = self._shapes.read(data.decode())
        if asked is None:
            return False
        via = _noted_via(asked, flow)
        if via is None:
            return False
        port = asked.port
        key = f"{asked.branch} {asked.host.lower()}:{int(port) if port else None} REGISTER"
        if self._transactions.repeated(key, now):
            return True
        status, reason, headers = self._decide(asked, flow, now)
        further = "".join([f"{name}: {value}\r\n" for name, value in headers])
        answer = (
            f"SIP/2.0 {status} {reason}\r\nVia: {via}\r\nFrom: {asked.from_}\r\n"
            f"To: {asked.to};tag={self._tag}\r\nCall-ID: {asked.call_id}\r\n"
            f"CSeq: {asked.cseq} REGISTER\r\n{further}Content-Length: 0\r\n\r\n"
        ).encode()
        if status in (401, 503):
            self._emit(Send(flow, answer))
        else:
            self._transactions.send_answer(key, answer, flow, now)
        return True

    def learn(self, text: str) -> None:
        """Take the shape of a REGISTER that was accepted."""
        if len(text) <= LONGEST and text.isascii():
            self._shapes.learn(text)

    def _decide(self, asked: ShapedRegister, flow: Flow, now: float) -> Decision:
        """Return status, reason and headers of the answer, with all of it done."""
        credentials = asked.credentials
        authentication = self._authentication
        try:
            if credentials is None or not authentication.answers(credentials):
                user: User | Refusal = authentication.challenge(flow, now)
            else:
                user = authentication.judge(credentials, "REGISTER", asked.uri, flow, now)
            if not isinstance(user, User):
                return user.status, reason_of(user.status), user.headers
            registrar = self._registrar
            registrar.check_owner(asked.user, asked.domain.lower(), user, flow)
            expires = asked.expires
            said = Registration(
                asked.call_id,
                int(asked.cseq),
                int(expires) if expires is not None else None,
                (asked.agent or "").strip()[:LONGEST_TEXT],
            )
            registrar.bind(said, user, asked.contact, asked.bare, flow, now)
            return 200, "OK", registrar.bound(user, now)
        except RemoteError as error:
            return error.status, error.reason, error.headers


def _noted_via(asked: ShapedRegister, flow: Flow) -> str | None:
    """Return Via with where the request came from (RFC 3581, 4).

    None where the answer goes elsewhere than back, or `received` has to be added.
    """
    host, port = flow.remote
    if asked.rport is not None:
        return f"{asked.via}={port}{asked.tail};received={host}"
    if asked.host != host:
        return None
    if flow.transport == "UDP" and int(asked.port or 5060) != port:
        return None
    return asked.via
