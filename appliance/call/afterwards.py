"""What is left of a phone that was rung, once its call is over: its ACK, for as long as it may ask.

A phone that misses the ACK of its 2xx repeats that for 32 s. The leg it spoke to is 11 KB, which
calls that end soon would all hold on to so long; this is a tenth of one.
"""

from __future__ import annotations

from appliance.call.context import CallContext
from appliance.call.ending import dismiss
from appliance.call.reach import is_gone
from appliance.sip.flow import Flow
from appliance.sip.matching import ClientTransaction
from appliance.sip.message import Response


class Afterwards:
    """Take the 2xx that still come to the INVITE of a leg that is over."""

    __slots__ = ("_ack", "_context", "_extension", "_flow", "_tag", "_target")

    def __init__(
        self,
        context: CallContext,
        extension: str,
        flow: Flow,
        tag: str,
        target: str,
        ack: bytes,
    ) -> None:
        """`tag`, `target` and `ack` are of the dialog that was; no ACK: it was never sent one."""
        self._context = context
        self._extension = extension
        self._flow = flow
        self._tag = tag
        self._target = target
        self._ack = ack

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Send the same ACK again; a fork that answers only now is acknowledged and ended."""
        if response.status < 200 or response.status >= 300:
            return
        flow: Flow | None = self._flow
        if is_gone(self._flow):
            flow = self._context.reach.find(self._extension, self._flow, self._target)
        if flow is None:
            return  # it asks again, by then perhaps on a connection that we know
        if (response.to.tag or "") != self._tag:
            dismiss(self._context, response, flow, now)
        elif self._ack:
            self._context.transactions.send_ack_again(self._ack, flow)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Do nothing: an INVITE that had its answer fails no more."""
