"""Where a phone in a call is to be found after its connection has ended (RFC 3261, 18; RFC 5626).

Its dialog tells only the Contact it had, and nobody can open a connection to most phones. But each
of them registers again, and then it is known on which connection.
"""

from __future__ import annotations

from appliance.errors import RemoteError
from appliance.pbx.directory import Directory
from appliance.pbx.location import Binding, Location, way_back
from appliance.sip.flow import GONE, Flow
from appliance.sip.uri import SipUri, parse_uri


def flow_of(
    location: Location, directory: Directory, extension: str, flow: Flow, target: str
) -> Flow | None:
    """Return the flow of the phone that was on `flow` with `target` as its Contact, if any.

    The one that registered with the same contact; else the last one at the same address; else, on
    TCP, a new connection to where its Contact takes them.
    """
    user = directory.by_extension(extension)
    found = None
    for binding in location.of_user(user.id) if user is not None else ():
        if binding.flow_lost or not _alike(binding, flow):
            continue
        found = binding.flow
        if _place(binding.contact) == _place(target):
            return found
    if found is not None:
        return found
    anew = way_back(flow, target)
    return anew if anew.connection != GONE else None


def _alike(binding: Binding, flow: Flow) -> bool:
    return binding.flow.transport == flow.transport and binding.flow.remote[0] == flow.remote[0]


def _place(contact: str) -> tuple[str | None, str, int | None] | None:
    """Return what of a contact names the phone."""
    try:
        uri = parse_uri(contact)
    except RemoteError:
        return None
    return (uri.user, uri.host.lower(), uri.port) if isinstance(uri, SipUri) else None
