"""What RFC 3261 wants of any message before anybody acts on it (sections 8.1.3, 8.2, 16.3)."""

from __future__ import annotations

from appliance.errors import RemoteError
from appliance.sip.message import Message, Request, Response
from appliance.sip.plain import has_parameters, method_of
from appliance.sip.scan import malformed
from appliance.sip.uri import SipUri

METHODS = frozenset(
    (
        *("REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE"),
        *("INFO", "REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH"),
    )
)
"""Methods somebody here may take; any other gets 501."""
SUPPORTED = frozenset(("100rel", "timer", "replaces", "norefersub", "tdialog"))
"""Extensions a request may insist on; any other gets 420."""
SCHEMES = ("sip:", "sips:", "tel:", "urn:service:")
"""Request-URIs that can name somebody: a user, a number, an emergency service (RFC 5031)."""

_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Expires")
"""A second one of these is how requests are smuggled past whoever reads only the first."""
_CARRY_SDP = frozenset(("INVITE", "UPDATE", "PRACK"))
_SDP = "application/sdp"
_SDP_RANGES = (_SDP, "application/*", "*/*")
_BARE_COOKIE = "z9hG4bK"


def check_request(
    request: Request,
    supported: frozenset[str] = SUPPORTED,
    methods: frozenset[str] = METHODS,
) -> None:
    """Raise the RemoteError that says why nobody may act on the request, or return.

    400 malformed, 406 no SDP accepted, 415 unknown body, 416 unknown scheme, 420 unknown
    extension, 501 unknown method; `headers` of the error belong into the answer. An ACK is never
    answered: whoever catches its error drops it.
    """
    plain, method = request.plain, request.method
    if plain is None:
        _check_once(request)
    if plain is None or has_parameters(plain):
        _check_shape(request)
    if method not in methods:
        raise RemoteError(501, f"{method} is unknown here")
    if (request.cseq.method if plain is None else method_of(plain)) != method:
        malformed("CSeq names another method")
    if plain is None:
        _check_target(request)
    if request.first("Require") is not None and method not in ("ACK", "CANCEL"):
        _check_extensions(request, supported)
    if request.body or method == "INVITE":
        _check_body(request)


def _check_shape(request: Request) -> None:
    """Make sure that what every answer copies, and all we act on, can be read."""
    if request.via.branch == _BARE_COOKIE:
        malformed("The branch names no transaction")
    _ = request.from_, request.to, request.call_id, request.cseq
    _ = request.max_forwards, request.contacts
    if request.plain is not None:
        _ = request.target


def _check_once(message: Message) -> None:
    if not message.repeats:
        return
    names = [name for name, _ in message.headers]
    for name in _ONCE:
        if names.count(name) > 1:
            malformed(f"{name} is there twice")
    _ = message.vias


def _check_target(request: Request) -> None:
    if request.uri.startswith("sip"):
        if request.request_uri.headers:
            malformed("A Request-URI carries no headers")
    elif not request.uri.lower().startswith(SCHEMES):
        raise RemoteError(416, "Nobody here has an address of that scheme")
    else:
        _ = request.target
    if request.method == "REGISTER" and not isinstance(request.to.uri, SipUri):
        malformed("Only a sip or sips address can be registered")


def _check_extensions(request: Request, supported: frozenset[str]) -> None:
    unknown = [name for name in request.values("Require") if name and name not in supported]
    if unknown:
        headers = (("Unsupported", ", ".join(unknown)),)
        raise RemoteError(420, "An extension is required that is not supported", headers)


def _check_body(request: Request) -> None:
    if request.method == "INVITE" and (accept := request.first("Accept")) is not None:
        ranges = [value.partition(";")[0].strip().lower() for value in accept.split(",")]
        if not any(name in _SDP_RANGES for name in ranges):
            raise RemoteError(406, "The caller takes no session description")
    if not request.body.strip() or _is_optional(request):
        return
    if not request.content_type:
        malformed("A body without Content-Type")
    encoding = request.first("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        raise RemoteError(415, "The body is encoded", (("Accept-Encoding", "identity"),))
    if request.method in _CARRY_SDP and request.content_type != _SDP:
        raise RemoteError(415, "The body is no session description", (("Accept", _SDP),))


def _is_optional(request: Request) -> bool:
    """Tell whether the sender allows the body to be ignored (RFC 3261, section 20.11)."""
    disposition = request.first("Content-Disposition") or ""
    return "handling=optional" in "".join(disposition.lower().split())


def check_response(response: Response) -> bool:
    """Tell whether a response is well formed and can be for us; False: drop it in silence.

    More than one Via means it was meant for another element (RFC 3261, section 8.1.3.3).
    """
    try:
        plain = response.plain
        if plain is None:
            _check_once(response)
        elif not has_parameters(plain):
            return True  # a plain message has one Via
        _ = response.from_, response.to, response.call_id, response.cseq, response.contacts
        return len(response.vias) == 1
    except RemoteError:
        return False
