"""Texts between people, a page at a time: SIP MESSAGE outside a dialog (RFC 3428)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from appliance.bundle import User
from appliance.call.asked import Asked
from appliance.call.party import Party
from appliance.call.steps import Target
from appliance.call.wording import better
from appliance.errors import RemoteError
from appliance.pbx.dialplan import DialPlan, ToUser
from appliance.pbx.stateless import stateless_tag
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import ServerTransaction, Transactions
from appliance.sip.message import Request, Response

PLAIN = "text/plain;charset=UTF-8"
LONGEST = 1300
"""Octets of a text: the whole request has to fit into one datagram (RFC 3428, section 8)."""
AT_ONCE = 10
"""Texts of one user that are under way at a time: a phone that sends without end ends here."""


def page(
    uri: str, sender: str, recipient: str, body: bytes, identifiers: Identifiers, kind: str = PLAIN
) -> Request:
    """Write a MESSAGE; `sender` and `recipient` are as From and To have them, without tags."""
    headers = [
        ("Max-Forwards", "70"),
        ("From", f"{sender};tag={identifiers.token()}"),
        ("To", recipient),
        ("Call-ID", identifiers.token()),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", kind),
    ]
    return Request("MESSAGE", uri, headers, body)


def written_to(dialplan: DialPlan, request: Request) -> User:
    """Return whom a text is for; raises RemoteError 404 where that is no user."""
    to = dialplan.find(request.request_uri.user or "")
    if not isinstance(to, ToUser):
        raise RemoteError(404, "texts go to users of the site")
    return to.user


def check_text(request: Request) -> None:
    """Raise RemoteError for a MESSAGE that is not passed on: 413 too long, 415 no text."""
    if len(request.body) > LONGEST:
        raise RemoteError(413, f"a text has {LONGEST} octets at most")
    if not request.content_type.startswith("text/"):
        raise RemoteError(415, "only texts are passed on", (("Accept", "text/plain"),))


class Pager:
    """Pass texts on to every phone of a user; nothing is kept for later."""

    def __init__(self, transactions: Transactions, identifiers: Identifiers) -> None:
        self._transactions = transactions
        self._identifiers = identifiers
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._under_way.total()

    def deliver(
        self,
        tx: ServerTransaction,
        sender: User,
        party: Party,
        targets: Iterable[Target],
        recipient: str,
        now: float,
    ) -> None:
        """Send the text of a MESSAGE to these phones; the first that takes it is the answer."""
        if self._under_way[sender.id] >= AT_ONCE:
            _answer(tx, 503, now, (("Retry-After", "5"),))
            return
        self._under_way[sender.id] += 1
        delivery = _Delivery(tx, lambda: self._over(sender.id))
        phones = list(targets)
        delivery.left = len(phones)
        if not phones:
            delivery.take(None, 480, now)
        body, kind = tx.request.body, tx.request.content_type
        for phone in phones:
            text = page(phone.uri, party.shown, recipient, body, self._identifiers, kind)
            self._transactions.request(text, phone.flow, now, Asked(delivery.take))

    def _over(self, user: str) -> None:
        self._under_way[user] -= 1
        if not self._under_way[user]:
            del self._under_way[user]


class _Delivery:
    """One text on its way to some phones."""

    def __init__(self, tx: ServerTransaction, over: Callable[[], None]) -> None:
        self._tx = tx
        self._over = over
        self._best = 480
        self._answered = False
        self.left = 0

    def take(self, response: Response | None, status: int, now: float) -> None:
        """Take what one phone says."""
        self.left -= 1
        if status < 300 and not self._answered:
            self._end(200, now)
        elif status >= 300:
            self._best = better(self._best, status)
        if self.left <= 0 and not self._answered:
            self._end(self._best, now)

    def _end(self, status: int, now: float) -> None:
        self._answered = True
        _answer(self._tx, status, now)
        self._over()


def _answer(
    tx: ServerTransaction, status: int, now: float, headers: Iterable[tuple[str, str]] = ()
) -> None:
    tag = stateless_tag(tx.request)
    tx.respond(tx.request.response(status, to_tag=tag, headers=list(headers)), now)
