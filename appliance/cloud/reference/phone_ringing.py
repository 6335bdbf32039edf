"""The calls a simulated phone gets."""

from __future__ import annotations

import asyncio

from appliance.cloud.reference.phone_audio import Audio
from appliance.cloud.reference.phone_call import Line, PhoneCall
from appliance.cloud.reference.phone_link import Link, Server
from appliance.errors import RemoteError
from appliance.sip.dialog import DialogState, uas_dialog
from appliance.sip.server_transaction import ServerTransaction
from appliance.sip.uri import SipUri


class IncomingCall(PhoneCall):
    """One call to this phone; `ring` first, then `answer`, `reject`, or the caller gives up."""

    def __init__(
        self, line: Line, server: Server, audio: Audio, tx: ServerTransaction, link: Link
    ) -> None:
        caller = tx.request.from_.uri
        super().__init__(line, server, audio, _user(caller))
        self.call_id = tx.request.call_id
        self._invite = tx
        self._request = tx.request
        self._link = link
        self.dialog = uas_dialog(tx.request, line.stack.identifiers.token())

    def ring(self) -> None:
        """Say 180, and answer by itself where the phone is set so."""
        self._become("ringing")
        self._respond(self._invite, self._request, 180, self._link)
        after = self._line.settings.answer_after
        if after is not None:
            self._line.begin(self._answer_later(after))

    def answer(self) -> None:
        """Pick up; the call talks once the caller has acknowledged. Only while it rings."""
        if self.state != "ringing" or self.dialog is None:
            return
        try:
            self._accept(self._invite, self._request, self._link)
        except RemoteError as error:
            self.reject(error.status)
            return
        self.dialog.state = DialogState.CONFIRMED
        self.status = 200
        self._become("talking")

    def reject(self, status: int = 486) -> None:
        """Refuse the call while it rings."""
        if self.state in ("calling", "ringing"):
            self._respond(self._invite, self._request, status, self._link)
            self._end(status, "us")

    def cancelled(self) -> None:
        """Take the caller's CANCEL."""
        if self.state in ("calling", "ringing"):
            self._respond(self._invite, self._request, 487, self._link)
            self._end(487, "them")

    async def hang_up(self) -> None:
        """End the call, answered or not."""
        if self.state in ("calling", "ringing"):
            self.reject(603)
        else:
            await super().hang_up()

    async def _answer_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.answer()


def _user(uri: SipUri | str) -> str:
    return (uri.user or uri.host) if isinstance(uri, SipUri) else uri
