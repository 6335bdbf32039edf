"""Dialogs: what two user agents remember of each other between requests (RFC 3261, section 12)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec

from appliance.errors import RemoteError
from appliance.sip.client_transaction import MAX_FORWARDS
from appliance.sip.headers import NameAddr
from appliance.sip.message import Header, Message, Request, Response
from appliance.sip.scan import is_token
from appliance.sip.uri import SipUri

T = TypeVar("T")
DialogKey = tuple[str, str, str]
"""Call-ID, our tag, their tag."""
REMEMBERED = 2_000
"""Dialogs that are known to have ended: those of some minutes at the rate of a busy site, 1 MB."""


class DialogState(StrEnum):
    """How far the INVITE that makes the dialog has come."""

    EARLY = "early"
    CONFIRMED = "confirmed"


class Dialog(msgspec.Struct, kw_only=True):
    """One side's view of a dialog; msgpack of it survives a restart."""

    call_id: str
    local_tag: str
    remote_tag: str
    """Empty for a peer of RFC 2543 that gives none."""
    local_uri: str
    """From of our requests, without tag."""
    remote_uri: str
    """To of our requests, without tag."""
    local_seq: int
    """CSeq number of the last request of ours; 0 before the first."""
    remote_seq: int | None = None
    """CSeq number of the last request of theirs; None before the first."""
    remote_target: str
    """Their Contact: the URI our requests are for."""
    route_set: tuple[str, ...] = ()
    """Proxies that want to see every request, as Route values, the next hop first."""
    state: DialogState = DialogState.EARLY
    secure: bool = False
    """Begun with a sips URI: nothing of it may pass an unencrypted hop."""

    @property
    def key(self) -> DialogKey:
        """Return what names the dialog on our side."""
        return self.call_id, self.local_tag, self.remote_tag

    def new_request(
        self, method: str, headers: Iterable[Header] = (), body: bytes = b""
    ) -> Request:
        """Build the next request of ours (12.2.1.1); Contact is the caller's to add."""
        self.local_seq += 1
        return self._build(method, self.local_seq, headers, body)

    def ack(self, number: int, headers: Iterable[Header] = (), body: bytes = b"") -> Request:
        """Build the ACK of a 2xx to the INVITE with that CSeq number (13.2.2.4)."""
        return self._build("ACK", number, headers, body)

    def check_remote(self, request: Request) -> None:
        """Take the CSeq of a new request of theirs; raise RemoteError(500) if it is out of order.

        One equal to the last is out of order too: retransmissions never come here. ACK and CANCEL
        have the number of their INVITE and are not judged.
        """
        if request.method in ("ACK", "CANCEL"):
            return
        number = request.cseq.number
        if self.remote_seq is not None and number <= self.remote_seq:
            raise RemoteError(500, f"CSeq {number} came after {self.remote_seq}")
        self.remote_seq = number

    def refresh_target(self, message: Message) -> None:
        """Send to the message's Contact from now on; for INVITE, UPDATE and their 2xx (12.2)."""
        self.remote_target = _contact(message) or self.remote_target

    def confirm(self, response: Response) -> None:
        """Take the 2xx to our INVITE: it has the last word on route set and target (13.2.2.4)."""
        self.state = DialogState.CONFIRMED
        self.route_set = _recorded_backwards(response)
        self.refresh_target(response)

    def _build(self, method: str, number: int, headers: Iterable[Header], body: bytes) -> Request:
        uri, routes = self._path()
        lines = [
            ("Max-Forwards", MAX_FORWARDS),
            *[("Route", route) for route in routes],
            ("From", _tagged(self.local_uri, self.local_tag)),
            ("To", _tagged(self.remote_uri, self.remote_tag)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            *headers,
        ]
        return Request(method, uri, lines, body)

    def _path(self) -> tuple[str, tuple[str, ...]]:
        """Return Request-URI and Route: a strict router wants itself in the former (12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = NameAddr.parse(self.route_set[0]).uri
        if not isinstance(first, SipUri) or "lr" in first.params:
            return self.remote_target, self.route_set
        return _as_request_uri(first), (*self.route_set[1:], f"<{self.remote_target}>")


def uas_dialog(request: Request, local_tag: str) -> Dialog:
    """Return the dialog that our answer with `local_tag` makes (12.1.1).

    Raises RemoteError(400) for a request that names no one place to send ours to.
    """
    target = _contact(request)
    if target is None:
        raise RemoteError(400, f"{request.method} needs exactly one Contact with a SIP URI")
    return Dialog(
        call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=request.from_.tag or "",
        local_uri=_untagged(request.to),
        remote_uri=_untagged(request.from_),
        local_seq=0,
        remote_seq=request.cseq.number,
        remote_target=target,
        route_set=tuple([str(route) for route in request.record_routes]),
        secure=_is_secure(request),
    )


def uac_dialog(request: Request, response: Response) -> Dialog:
    """Return the dialog that a 1xx with To tag or a 2xx to our request makes (12.1.2).

    Without a usable Contact, which some phones leave out of 180, the request's URI stands in.
    """
    local_uri, local_tag = _party(request, "From")
    return Dialog(
        call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=response.to.tag or "",
        local_uri=local_uri,
        remote_uri=_party(request, "To")[0],
        local_seq=request.cseq.number,
        remote_target=_contact(response) or request.uri,
        route_set=_recorded_backwards(response),
        state=DialogState.EARLY if response.status < 200 else DialogState.CONFIRMED,
        secure=_is_secure(request),
    )


class Forks:
    """Keep the dialogs one INVITE of ours has made: a fork per To tag (12.1, 13.2.2.4)."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._dialogs: dict[str, Dialog] = {}

    def __iter__(self) -> Iterator[Dialog]:
        return iter(self._dialogs.values())

    def take(self, response: Response) -> Dialog | None:
        """Return the dialog of a response, new, early or confirmed by it; None if it makes none."""
        tag = response.to.tag or ""
        if response.status == 100 or response.status >= 300 or not (tag or response.status >= 200):
            return None
        dialog = self._dialogs.get(tag)
        if dialog is None:
            dialog = self._dialogs[tag] = uac_dialog(self._request, response)
        elif response.status >= 200 and dialog.state is DialogState.EARLY:
            dialog.confirm(response)
        return dialog


class Dialogs(Generic[T]):
    """Find whose dialog a request belongs to."""

    def __init__(self) -> None:
        self._owners: dict[DialogKey, T] = {}
        self._ended: OrderedDict[DialogKey, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, dialog: Dialog, owner: T) -> None:
        """Let requests inside `dialog` find `owner`."""
        self._owners[dialog.key] = owner

    def remove(self, dialog: Dialog) -> None:
        """Take that a dialog, early or confirmed, has ended; harmless twice."""
        self._owners.pop(dialog.key, None)
        self._ended[dialog.key] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def find(self, request: Request) -> T | None:
        """Return the owner of the dialog a request says it is in (12.2.2)."""
        return self.named(request.call_id, request.to.tag or "", request.from_.tag or "")

    def named(self, call_id: str, local_tag: str, remote_tag: str) -> T | None:
        """Return a dialog's owner by its name, as Replaces and RFC 4235 give it."""
        return self._owners.get((call_id, local_tag, remote_tag))

    def ended(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Tell whether a dialog of that name has been, and is over; the last ones are known."""
        return (call_id, local_tag, remote_tag) in self._ended


def _contact(message: Message) -> str | None:
    """Return the URI of the only Contact; None where there is none, several, or none of SIP."""
    try:
        contacts = message.contacts
    except RemoteError:
        return None
    if len(contacts) != 1 or not isinstance(contacts[0].uri, SipUri):
        return None
    return _as_request_uri(contacts[0].uri)


def _recorded_backwards(response: Response) -> tuple[str, ...]:
    return tuple([str(route) for route in reversed(response.record_routes)])


def _is_secure(request: Request) -> bool:
    return request.uri[:5].lower() == "sips:"


def _tagged(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address


def _party(request: Request, name: str) -> tuple[str, str]:
    """Return address and tag of From or To in a request of ours.

    Raises RemoteError(400) where they cannot be read.
    """
    text = request.first(name) or ""
    address, tagged, tag = text.rpartition(";tag=") if not text.endswith(">") else (text, "", "")
    if address.endswith(">") and (is_token(tag) or not tagged):
        return _spelled(address), tag
    party = request.from_ if name == "From" else request.to
    return _untagged(party), party.tag or ""


@lru_cache(maxsize=4096)
def _spelled(address: str) -> str:
    """Return an address without a tag as dialogs keep it: its calls all ask for the same."""
    return _untagged(NameAddr.parse(address))


def _untagged(address: NameAddr) -> str:
    rest = {name: value for name, value in address.params.items() if name != "tag"}
    return str(NameAddr(address.display, address.uri, rest))


def _as_request_uri(uri: SipUri) -> str:
    """Leave out what a Request-URI must not have (19.1.1): headers and the method parameter."""
    if "method" not in uri.params and not uri.headers:
        return str(uri)
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return str(msgspec.structs.replace(uri, params=params, headers=()))
