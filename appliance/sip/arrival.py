"""Where a request came from and where its answer goes (RFC 3261, section 18.2; RFC 3581)."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.sip import scan
from appliance.sip.flow import Flow
from appliance.sip.headers import Via
from appliance.sip.message import Request
from appliance.sip.plain import wants_port

_DEFAULT_PORT = 5060


def note_source(request: Request, flow: Flow) -> None:
    """Write into the top Via where the request really came from; answers copy it from there.

    `received` goes in where the address differs from what the sender believes, and together with
    `rport` where he asked for that. `request.via` stays what the sender wrote.
    """
    plain = request.plain
    if plain is not None and wants_port(plain) and (text := _noted_plain(request, flow)):
        request.replace_via(text)
        return
    via = request.via
    params = via.params
    if "rport" in params:
        host, port = flow.remote
        text = _noted(request, via, {"rport": str(port), "received": host})
    elif "received" in params or via.host.strip("[]") != flow.remote[0]:
        text = _noted(request, via, {"received": flow.remote[0]})
    else:
        return
    request.replace_via(text, via)


def _noted_plain(request: Request, flow: Flow) -> str:
    """Return a plain Via with `rport` filled in; '' where that has been done: saves 3 us."""
    line = request.first("Via") or ""
    host, port = flow.remote
    if line.endswith(";rport"):
        return f"{line}={port};received={host}"
    if ";rport;" in line:
        return f"{line.replace(';rport;', f';rport={port};', 1)};received={host}"
    return ""


def _noted(request: Request, via: Via, source: Mapping[str, str]) -> str:
    noted = Via(via.transport, via.host, via.port, {**via.params, **source})
    line = request.first("Via") or ""
    return ", ".join([str(noted), *(scan.split_top(line, ",")[1:] if "," in line else ())])


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Return the way of the answer: back on the connection, or over UDP to the port Via names.

    Only who asked for `rport` gets the answer at the port he sent from. `maddr` is not followed:
    with it, anybody could point our answers at a third party.
    """
    plain = request.plain
    if flow.transport != "UDP" or (plain is not None and wants_port(plain)):
        return flow
    via = request.via
    if "rport" in via.params:
        return flow
    port = via.port or _DEFAULT_PORT
    if port == flow.remote[1]:
        return flow
    return flow._replace(remote=(flow.remote[0], port))
