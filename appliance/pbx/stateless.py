"""Answers that cost no memory: the same request again gets the same answer (RFC 3261, 8.2.7)."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from appliance.call.context import ALLOW
from appliance.errors import RemoteError
from appliance.sip.arrival import note_source, reply_flow
from appliance.sip.flow import Flow
from appliance.sip.head import Header
from appliance.sip.message import Request, Response


def stateless_tag(request: Request) -> str:
    """Return a To tag that is the same for every retransmission."""
    return f"{crc32((request.first('Via') or '').encode('utf-8', 'surrogateescape')):08x}"


def refusal(request: Request, error: RemoteError, retry: bool) -> Response:
    """Return what refuses a request; with `retry`, an error of ours says when to try again."""
    response = request.response(error.status, to_tag=stateless_tag(request))
    if error.status == 405:
        response.add("Allow", ALLOW)
    elif error.status == 415:
        response.add("Accept", "application/sdp")
    elif error.status in (500, 503) and retry:
        response.add("Retry-After", "5")
    for name, value in error.headers:
        response.add(name, value)
    return response


def way_back(request: Request, flow: Flow) -> Flow:
    """Return the flow on which a request is answered that nobody has looked at yet."""
    try:
        note_source(request, flow)
        return reply_flow(request, flow)
    except RemoteError:
        return flow  # its Via cannot be read: back to where it came from


def unserved(request: Request, retry_after: int) -> Response:
    """Return 503: the cloud is there, or we know of no site yet. Never 403 or 404 (A2)."""
    response = request.response(503, to_tag=stateless_tag(request))
    response.add("Retry-After", str(retry_after))
    return response


def abilities(request: Request, more: Iterable[Header] = ()) -> Response:
    """Return what we can do, as the answer to OPTIONS (RFC 3261, 11.2)."""
    response = request.response(200, to_tag=stateless_tag(request), headers=more)
    response.add("Allow", ALLOW)
    response.add("Accept", "application/sdp")
    response.add("Supported", "100rel, timer, replaces, norefersub, tdialog")
    return response
