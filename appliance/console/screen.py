"""What the console shows: the state of the machine and of the service on one screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WIDTH = 78
"""Characters: the screen of a virtual machine has 80."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known at this moment; empty where somebody does not answer."""

    version: str
    hostname: str
    mode: str = ""
    reason: str = ""
    addresses: tuple[str, ...] = ()
    carriers: Mapping[str, bool] = field(default_factory=dict)
    port: int = 443
    fingerprint: str = ""
    """SHA-256 of the certificate that the web pages show, hex."""
    password: str = ""
    """`admin` and its one-time password, until it has been used."""
    problems: tuple[str, ...] = ()


def screen(facts: Facts) -> list[str]:
    """Return the lines of the screen above the menu."""
    lines = [f" Holdfast {facts.version} on {facts.hostname}", "=" * WIDTH]
    lines += [f" {name + ':' if name else '':<13} {text}" for name, text in _rows(facts)]
    lines += [f" ! {line}"[:WIDTH] for line in facts.problems]
    return [*lines, "-" * WIDTH]


def _rows(facts: Facts) -> list[tuple[str, str]]:
    mode = f"{facts.mode} ({facts.reason})" if facts.mode else "the service does not answer yet"
    rows = [("mode", mode[: WIDTH - 16])]
    cards = [f"{name} {'up' if up else 'DOWN: no cable'}" for name, up in facts.carriers.items()]
    rows.append(("link", ", ".join(cards) or "there is no network card"))
    rows.append(("addresses", ", ".join(facts.addresses) or "none yet"))
    rows += [("web", url(address, facts.port)) for address in facts.addresses[:2]]
    for number, part in enumerate(_folded(facts.fingerprint)):
        rows.append(("certificate" if number == 0 else "", part))
    if facts.password:
        name, _, secret = facts.password.partition(" ")
        rows.append(("first log-in", f"{name}, one-time password {secret}"))
    return rows


def url(address: str, port: int) -> str:
    """Return where the web pages are."""
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}/" if port == 443 else f"https://{host}:{port}/"


def _folded(fingerprint: str) -> list[str]:
    """Return a fingerprint as browsers show it, in two lines."""
    pairs = [fingerprint[at : at + 2].upper() for at in range(0, len(fingerprint), 2)]
    return [":".join(pairs[at : at + 16]) for at in range(0, len(pairs), 16)]
