"""The calls a simulated phone makes."""

from __future__ import annotations

from appliance.cloud.reference.phone_audio import Audio
from appliance.cloud.reference.phone_call import ALLOW, Line, PhoneCall
from appliance.cloud.reference.phone_link import Link, Server
from appliance.cloud.reference.phone_sdp import CONTENT_TYPE
from appliance.errors import RemoteError
from appliance.sip.client_transaction import ClientTransaction
from appliance.sip.dialog import DialogState, uac_dialog
from appliance.sip.headers import NameAddr
from appliance.sip.message import Header, Request, Response


class OutgoingCall(PhoneCall):
    """One call made by this phone; `begin` sends the INVITE."""

    _after_glare = (2.1, 4.0)

    def __init__(self, line: Line, server: Server, audio: Audio, number: str) -> None:
        super().__init__(line, server, audio, number)
        self.call_id = line.stack.identifiers.token()
        self._tag = line.stack.identifiers.token()
        self._cseq = 0
        self._invite: ClientTransaction | None = None
        self._cancelled = False

    def begin(self, link: Link) -> None:
        """Send the INVITE, signed when the server's challenge is known."""
        self._cseq += 1
        request = self._request(link)
        self._line.login_at(self.server).sign(request)
        self._invite = self._stack.request(request, link, self)

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a response to the INVITE."""
        if response.status < 200:
            if response.status > 100 and self.state == "calling":
                self._become("ringing")
        elif response.status < 300:
            self._answered(tx.request, response)
        elif not self._try_again(response):
            self.reason = response.first("Reason") or response.reason
            self._end(response.status, "us" if self._cancelled else "them")

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Take that no final response comes."""
        self._end(status, "them")

    def _try_again(self, response: Response) -> bool:
        if self._cancelled or not self._line.login_at(self.server).challenged(response):
            return False
        link = self._line.link_to(self.server)
        if link is None:
            return False
        self.begin(link)
        return True

    def _answered(self, request: Request, response: Response) -> None:
        if self.dialog is None:
            self.dialog = uac_dialog(request, response)
            self.dialog.state = DialogState.CONFIRMED
            self.acknowledge(response)
            self._talk(response)
        elif response.to.tag == self.dialog.remote_tag:
            self.acknowledge(response)

    def _talk(self, response: Response) -> None:
        """Begin to talk, unless the call was cancelled or the answer does not suit."""
        self.status = response.status
        try:
            self._take_answer(response.body)
        except RemoteError:
            self._line.begin(self.hang_up())
            return
        self._become("talking")
        if self._cancelled:
            self._line.begin(self.hang_up())

    def _give_up(self) -> None:
        self._cancelled = True
        if self._invite is not None:
            self._stack.cancel(self._invite)

    def _request(self, link: Link) -> Request:
        settings = self._line.settings
        uri = f"sip:{self.other}@{settings.domain}"
        headers: list[Header] = [
            ("Max-Forwards", "70"),
            ("From", f"{NameAddr(settings.name, settings.aor)};tag={self._tag}"),
            ("To", f"<{uri}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            ("Contact", self._contact(link)),
            ("Allow", ALLOW),
            ("Content-Type", CONTENT_TYPE),
        ]
        if settings.session_expires:
            headers += self._timer.offer_headers()
        return Request("INVITE", uri, headers, self._offer())
