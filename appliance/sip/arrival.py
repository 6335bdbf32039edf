"""Where a request came from and where its answer goes (RFC 3261, section 18.2; RFC 3581)."""

from __future__ import annotations

from appliance.sip import scan
from appliance.sip.flow import Flow
from appliance.sip.headers import Via
from appliance.sip.message import Request

_DEFAULT_PORT = 5060


def note_source(request: Request, flow: Flow) -> None:
    """Write into the top Via where the request really came from, before anything reads it.

    `received` goes in where the address differs from what the sender believes, and together with
    `rport` where he asked for that.
    """
    via = request.via
    params = via.params
    host, port = flow.remote
    if "rport" in params:
        noted = {**params, "rport": str(port), "received": host}
    elif "received" in params or via.host.strip("[]") != host:
        noted = {**params, "received": host}
    else:
        return
    if noted != params:
        _write(request, Via(via.transport, via.host, via.port, noted))


def _write(request: Request, via: Via) -> None:
    line = request.index["Via"]
    if line.endswith(";rport") and "," not in line:
        # What nearly every phone sends: its own words are kept, and 0.7 us.
        text = f"{line}={via.params['rport']};received={via.params['received']}"
    elif "," in line:
        text = ", ".join([str(via), *scan.split_top(line, ",")[1:]])
    else:
        text = str(via)
    request.replace_via(text, via)


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Return the way of the answer: back on the connection, or over UDP to the port Via names.

    Only who asked for `rport` gets the answer at the port he sent from. `maddr` is not followed:
    with it, anybody could point our answers at a third party.
    """
    if flow.reliable:
        return flow
    via = request.via
    if "rport" in via.params:
        return flow
    port = via.port or _DEFAULT_PORT
    if port == flow.remote[1]:
        return flow
    return flow._replace(remote=(flow.remote[0], port))
