"""A location written for emergency services: PIDF-LO with a civic address (RFC 4119, 5139)."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from appliance.bundle import Civic, Location

CONTENT_TYPE = "application/pidf+xml"

PARTS: Final[tuple[tuple[str, str], ...]] = (
    ("country", "country"),
    ("state", "A1"),
    ("city", "A3"),
    ("street", "RD"),
    ("house_number", "HNO"),
    ("postal_code", "PC"),
    ("building", "BLD"),
    ("floor", "FLR"),
    ("room", "ROOM"),
)
"""Field of `bundle.Civic` and its element (RFC 5139, section 3.1), in order."""


def pidf_lo(location: Location, country: str, entity: str, at: str) -> bytes:
    """Return the document; `entity` names nobody inside, `at` is an RFC 3339 time.

    Without `civic` there is the country, the name and the address in one line.
    """
    civic = location.civic or Civic(country=country)
    elements = [(name, getattr(civic, field)) for field, name in PARTS]
    if location.civic is None and location.address:
        elements.append(("LOC", " ".join(location.address.split())))
    elements.append(("NAM", location.name))
    lines = [f"<ca:{name}>{_text(value)}</ca:{name}>" for name, value in elements if value]
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<presence xmlns="urn:ietf:params:xml:ns:pidf"',
            ' xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"',
            ' xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"',
            ' xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"',
            f" entity={quoteattr(_text_only(entity))}>",
            f"<dm:device id={quoteattr(_name(location.id))}>",
            "<gp:geopriv>",
            "<gp:location-info><ca:civicAddress>",
            *lines,
            "</ca:civicAddress></gp:location-info>",
            "<gp:usage-rules><gp:retransmission-allowed>yes</gp:retransmission-allowed>"
            "</gp:usage-rules>",
            "<gp:method>Manual</gp:method>",
            "</gp:geopriv>",
            f"<dm:timestamp>{_text(at)}</dm:timestamp>",
            "</dm:device>",
            "</presence>",
            "",
        )
    ).encode()


def _text(value: str) -> str:
    return escape(_text_only(value))


def _text_only(value: str) -> str:
    """Return what XML can carry at all: it has no way to write most controls."""
    return "".join(c if c.isprintable() else " " for c in value)


def _name(value: str) -> str:
    """Return an XML name made of an id, which may begin with a digit or have an @ in it."""
    return "at-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in value)
