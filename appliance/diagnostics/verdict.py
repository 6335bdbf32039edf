"""What the layers on the way to a zone mean together: one sentence, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.evidence import LAYERS, Finding, Step

WORDS: dict[tuple[str, str], tuple[str, str]] = {
    ("link", "no_signal"): (
        "The cable of this appliance has no signal: {text}",
        "Plug the cable in, or see to the switch and its port.",
    ),
    ("gateway", "no_route"): (
        "This appliance knows no way out of the site",
        "Set the gateway in the network settings of this machine.",
    ),
    ("gateway", "silence"): (
        "The gateway does not answer: {text}",
        "See to the site's router; nothing beyond it can be reached.",
    ),
    ("dns", "silence"): (
        "DNS is dead: {text}",
        "See to the site's name servers, or name others in the network settings of this machine.",
    ),
    ("dns", "no_server"): (
        "DNS is dead: no name server is set up",
        "Name a name server in the network settings of this machine.",
    ),
    ("dns", "no_name"): (
        "DNS does not know zone {zone}: {text}",
        "Correct the zone's host in the configuration, or its entry in DNS.",
    ),
    ("dns", "refused"): (
        "The name servers refuse to answer: {text}",
        "See to the site's name servers: they are there and do not look up names for us.",
    ),
    ("dns+tcp", "silence"): (
        "No name server answers, and neither does zone {zone} where it was last: the way out of"
        " the site is cut",
        "See to the internet line and the firewall; the name servers are behind it too.",
    ),
    ("tcp", "reset"): (
        "The port of zone {zone} is reset by a firewall, or its server is not running: {text}",
        "Let the port out in the firewall; if it is let out, ask the cloud's operator.",
    ),
    ("tcp", "silence"): (
        "Packets to zone {zone} are dropped without a word: {text}",
        "See to the internet line, and that the firewall lets the zone's port out.",
    ),
    ("tcp", "unreachable"): (
        "A router on the way says that zone {zone} cannot be reached: {text}",
        "See to the internet line and the routes of the site.",
    ),
    ("certificate", "expired"): (
        "The certificate of zone {zone} has expired",
        "Ask the cloud's operator for a new one, and see that the clock here is right.",
    ),
    ("certificate", "not_yet"): (
        "The certificate of zone {zone} is not valid yet",
        "See that the clock of this machine is right.",
    ),
    ("certificate", "name"): (
        "The certificate of zone {zone} is for another name: {text}",
        "See that DNS leads to the right server, and that nothing on the way opens TLS.",
    ),
    ("certificate", "untrusted"): (
        "Nobody we trust has signed the certificate of zone {zone}: {text}",
        "Put the right CA into the configuration, and see that nothing on the way opens TLS.",
    ),
    ("tls", "silence"): (
        "Zone {zone} takes connections and does not begin TLS: {text}",
        "See that the port is the one for TLS, and that no firewall looks into it.",
    ),
    ("tls", "reset"): (
        "The TLS handshake with zone {zone} is cut off: {text}",
        "See to firewalls that look into TLS; if there are none, ask the cloud's operator.",
    ),
    ("sip", "silence"): (
        "Zone {zone} takes connections and does not answer SIP",
        "Ask the cloud's operator: its SIP service hangs.",
    ),
    ("sip", "refusing"): (
        "Zone {zone} does not serve: {text}",
        "Ask the cloud's operator: it answers, but is overloaded or taken out of service.",
    ),
}
"""By layer and kind; `{text}` is what the layer said."""
OTHERWISE = ("Zone {zone} fails at {layer}: {text}", "Ask whoever runs that part of the way.")
ALL_WELL = (
    "Zone {zone} answers at every layer again",
    "Nothing to do now; short cuts that come back are the line's, or a firewall's.",
)
BESIDE = "; the cloud's HTTPS answers, so the line is up"


def finding(at: float, zone: str, steps: Sequence[Step]) -> Finding:
    """Judge what was found on the way to a zone."""
    told: dict[str, Step] = {step.layer: step for step in steps}
    failed = [told[layer] for layer in LAYERS[:-1] if layer in told and _fails(told, layer)]
    if not failed:
        return _finding(at, zone, steps, None, ALL_WELL)
    lowest = failed[0]
    key = (lowest.layer, lowest.kind)
    if key == ("dns", "silence") and _fails(told, "tcp"):
        return _finding(at, zone, steps, lowest, WORDS["dns+tcp", "silence"])
    found = _finding(at, zone, steps, lowest, WORDS.get(key, OTHERWISE))
    if lowest.layer == "tcp" and "https" in told and told["https"].verdict == "ok":
        return _with_line(found)
    return found


def _fails(told: dict[str, Step], layer: str) -> bool:
    """Tell whether a layer is to blame: DNS is not where the zone was reached without it."""
    step = told.get(layer)
    if step is None or step.verdict != "fail":
        return False
    tcp = told.get("tcp")
    return layer != "dns" or tcp is None or tcp.verdict != "ok"


def _finding(
    at: float, zone: str, steps: Sequence[Step], step: Step | None, words: tuple[str, str]
) -> Finding:
    text, layer = (step.text, step.layer) if step else ("", "")
    verdict = words[0].format(zone=zone, text=text, layer=layer)
    kind = step.kind if step else ""
    return Finding(
        at=at,
        zone=zone,
        layer=layer,
        kind=kind,
        verdict=verdict,
        advice=words[1],
        steps=tuple(steps),
    )


def _with_line(found: Finding) -> Finding:
    return Finding(
        at=found.at,
        zone=found.zone,
        layer=found.layer,
        kind=found.kind,
        verdict=found.verdict + BESIDE,
        advice=found.advice,
        steps=found.steps,
    )
