"""Whether a phone that registers is served now, or a call, and whether one more call can be.

By the mode, by a test's scope, or for the call a phone has; by how many calls are up.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.bundle import User
from appliance.call.actions import Action, Notice
from appliance.call.outside import Arrival, Outside
from appliance.call.steps import Plan, Reject
from appliance.pbx.destinations import rejected
from appliance.pbx.dialplan import ToUser
from appliance.pbx.directory import Directory
from appliance.pbx.presence import Presence
from appliance.pbx.site import Site
from appliance.pbx.survival import Survival
from appliance.sip.message import Request
from appliance.sip.uri import SipUri


def admits(survival: Survival, directory: Directory, presence: Presence, request: Request) -> bool:
    """Tell whether a REGISTER is for somebody who is served now.

    A phone in a call stays until it is free, whatever the mode has become meanwhile (A6). Whose the
    address of record is has not been proved yet, but the registrar insists on it.
    """
    if survival.serves_everybody:
        return True
    user = claimed(directory, request)
    if user is None:
        return False
    return survival.serves(user.id) or user.extension in presence.busy()


def claimed(directory: Directory, request: Request) -> User | None:
    """Return whose address of record a REGISTER is about; nothing has been proved."""
    uri = request.to.uri
    return directory.by_address(uri.user or "") if isinstance(uri, SipUri) else None


def serves_call(site: Site, called: Arrival, outside: Outside, request: Request) -> bool:
    """Tell whether a call is ours: in a test of some users the others are with their cloud."""
    if called.line is None:
        return site.survival.serves(called.caller.id)
    to = site.dialplan.find(called.dialled)
    if not isinstance(to, ToUser) or site.survival.serves(to.user.id):
        return True
    return bool(outside.called_back(request))


def turned_away(
    request: Request, busy: int, most: int, emit: Callable[[Action], None]
) -> Plan | None:
    """Return the plan of a call that cannot be tried at all; it leaves a record as well."""
    if request.max_forwards == 0:
        return rejected(Reject(483, "too many hops"))
    if busy < most:
        return None
    emit(Notice("alarm", "calls.full", f"{busy} calls: a further one was refused"))
    return rejected(Reject(503, "every line is in use"))
