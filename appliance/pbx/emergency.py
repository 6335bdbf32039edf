"""A call for help as it arrives: recognised before all else, from anybody, in any mode (E6).

It is never challenged: a phone that knows no password here would give up. Who calls is known by
credentials where the phone sends some by itself, or by the flow on which the user is registered.
What From says is a claim: good enough to look for the place, not to call in somebody's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from appliance.bundle import User
from appliance.bundle.emergency import EmergencyNumber, EmergencyNumbers
from appliance.call.actions import Notice
from appliance.call.call import Call
from appliance.call.context import CallContext
from appliance.call.emergency import HelpCaller
from appliance.call.leg import SDP
from appliance.call.party import Party
from appliance.call.steps import Plan
from appliance.errors import RemoteError
from appliance.pbx.authentication import Authentication
from appliance.pbx.directory import Directory
from appliance.pbx.location import Location
from appliance.pbx.room import end_youngest
from appliance.sip.flow import Flow, host_port
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request
from appliance.sip.multipart import split
from appliance.sip.uri import SipUri

STRANGERS_LIMIT = 100
"""Calls for help at a time by phones that proved nothing: a flood of them would deafen the services
that real ones need. It counts nobody who is registered or shows credentials."""
PORTS = 4
"""RTP ports that a call for help may need: audio for two legs, and for the team's phones."""
STRANGER = "sip:unknown@"
"""How the addresses of callers begin who proved nothing."""
_SEPARATORS = str.maketrans("", "", "-.()")

Begin = Callable[[ServerTransaction, Flow, Party, str, str, float], Call]


class HelpPlans(Protocol):
    """Makes plans for calls for help; `sbc_bridge.emergency.help.Help` fulfils it."""

    def plan(self, caller: HelpCaller, number: EmergencyNumber, now: float) -> Plan:
        """Return the plan of a call for help."""
        ...

    def callback(self, number: str, now: float) -> Plan | None:
        """Return the plan of a call to a number on which somebody is called back, if any is."""
        ...

    def over(self, call_id: str, gave_up: bool, now: float) -> None:
        """Learn that a call is over, and whether its caller hung up before anybody answered."""
        ...


def number_asked(request: Request, numbers: EmergencyNumbers) -> EmergencyNumber | None:
    """Return the number of an INVITE that calls for help, in whatever form it is dialled."""
    target = request.target
    if isinstance(target, SipUri):
        return numbers.find(target.user or "")
    if target[:4].lower() == "tel:":
        return numbers.find(target[4:].partition(";")[0].translate(_SEPARATORS))
    return numbers.find(target)


class Identification:
    """Find out who calls for help, without asking back."""

    def __init__(
        self, directory: Directory, location: Location, authentication: Authentication
    ) -> None:
        self._directory = directory
        self._location = location
        self._authentication = authentication

    def caller(
        self, request: Request, flow: Flow, call_id: str, standby: bool, now: float
    ) -> HelpCaller:
        """Return who calls, as far as anything tells; never raises."""
        user, proved = self._user(request, flow, now)
        contact = self._contact(request, flow)
        return HelpCaller(
            call_id=call_id,
            user=user,
            proved=proved,
            flow=flow,
            contact=contact,
            says=self._says(request, user, flow),
            standby=standby,
        )

    def _user(self, request: Request, flow: Flow, now: float) -> tuple[User | None, bool]:
        try:
            if request.authorization is not None:
                verdict = self._authentication.check(request, flow, now)
                if isinstance(verdict, User):
                    return verdict, True
        except RemoteError:
            pass  # credentials nobody can read prove nothing, and keep nobody from help
        try:
            uri = request.from_.uri
        except RemoteError:
            return None, False
        name = uri.user if isinstance(uri, SipUri) else None
        user = self._directory.by_address(name) if name else None
        return user, user is not None and self._location.proves(flow, user.id)

    def _contact(self, request: Request, flow: Flow) -> str:
        try:
            uri = request.contacts[0].uri if request.contacts else None
        except RemoteError:
            uri = None
        return str(uri) if isinstance(uri, SipUri) else f"sip:{host_port(flow.remote)}"

    def _says(self, request: Request, user: User | None, flow: Flow) -> str:
        """Return what may name the phone: of this request and of its registration."""
        said = [value for name in ("User-Agent", "Contact") for value in request.all(name)]
        for binding in self._location.of_user(user.id) if user is not None else ():
            if binding.flow == flow:
                said += [binding.instance, binding.user_agent]
        return " ".join(said)


def party_of(caller: HelpCaller, domain: str) -> Party:
    """Return the caller as the call and its record know it; a claim stays one."""
    user, address = caller.user, caller.flow.remote[0]
    if user is not None and caller.proved:
        return Party(user.extension, user.name, f"sip:{user.extension}@{domain}")
    name = f"says to be {user.name} ({user.extension})" if user is not None else "unknown phone"
    return Party(address, name, f"{STRANGER}{domain}")


def unpacked(request: Request, numbers: EmergencyNumbers) -> None:
    """Leave an INVITE for help with its description as the only body: phones may add a location.

    Of any other INVITE such a body is refused. One without a description becomes a late offer.
    """
    if request.content_type == SDP or number_asked(request, numbers) is None:
        return
    found = b""
    if request.content_type.startswith("multipart/"):
        with suppress(RemoteError):
            parts = split(request.first("Content-Type") or "", request.body)
            found = next((part.content for part in parts if part.kind == SDP), b"")
    request.body = found
    request.set("Content-Type", SDP)


class HelpDesk:
    """Take calls for help: no password, no mode and no limit is asked for."""

    def __init__(
        self,
        context: CallContext,
        identification: Identification,
        plans: HelpPlans,
        calls: Mapping[str, Call],
        begin: Begin,
    ) -> None:
        """`begin` makes a call for a transaction and keeps it among `calls`."""
        self._context = context
        self._identification = identification
        self._plans = plans
        self._calls = calls
        self._begin = begin

    def take(
        self, request: Request, flow: Flow, number: EmergencyNumber, standby: bool, now: float
    ) -> None:
        """Begin a call for help; raises RemoteError where it is one too many of strangers."""
        context = self._context
        if context.transactions.merged(request):
            raise RemoteError(482, "the same request came on another way")
        name = context.identifiers.token()
        caller = self._identification.caller(request, flow, name, standby, now)
        if not caller.proved and self._strangers() >= STRANGERS_LIMIT:
            text = f"{STRANGERS_LIMIT} unknown phones call for help: {flow.remote[0]} was refused"
            context.emit(Notice("alarm", "emergency.flood", text))
            raise RemoteError(503, "too many unknown phones call for help")
        tx = context.transactions.receive_request(request, flow, now)
        if tx is None:
            return
        ended = end_youngest(self._calls.values(), now) if context.ports.free < PORTS else ""
        call = self._begin(tx, flow, party_of(caller, context.domain), number.digits, name, now)
        if ended:
            call.draft.step(f"no audio port was free: the call of {ended} was ended to make room")
        if call.caller.srtp == "required":
            call.caller.srtp = "preferred"  # better overheard than not heard
        call.start(self._plans.plan(caller, number, now), now)

    def over(self, call: Call) -> None:
        """Learn that a call is over, whatever it was."""
        record = call.draft.record
        if record.emergency is not None:
            gave_up = record.answered is None and record.ended_by == "caller"
            self._plans.over(call.id, gave_up, self._context.timers.now)

    def _strangers(self) -> int:
        """Count the calls for help that are up whose callers proved nothing."""
        return sum(call.party.uri.startswith(STRANGER) for call in self._calls.values())
