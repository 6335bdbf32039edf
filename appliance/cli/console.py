"""`holdfast console`: the menu on the appliance's screen, serial line and SSH."""

from __future__ import annotations

import argparse
import hashlib
import select
import socket
import ssl
import sys
from typing import Any

from appliance import __version__
from appliance.adapters.addresses import machine_addresses
from appliance.cli.door import Door, admin_certificates
from appliance.cli.options import OK, new_parser, settings_of
from appliance.cli.output import clean
from appliance.console.machine import Machine
from appliance.console.menu import Menu, World
from appliance.console.screen import Facts
from appliance.errors import HoldfastError
from appliance.settings import Settings

LONGEST_LINE = 4096
"""Characters read at once from a terminal."""


class StandardTerminal:
    """Standard input and output, a line at a time."""

    def write(self, text: str) -> None:
        """Show text."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def read(self, seconds: float | None) -> str | None:
        """Return a line, None after so many seconds; raises EOFError at the end."""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        if not ready:
            return None
        line = sys.stdin.readline(LONGEST_LINE)
        if not line:
            raise EOFError
        return line.rstrip("\r\n")


def add_parser(subparsers: Any) -> None:
    """Add `console`."""
    parser = new_parser(subparsers, "console", "show the appliance's console menu")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the menu until the terminal ends."""
    settings, machine = settings_of(arguments), Machine()
    world = World(machine, lambda: facts_of(settings, machine), lambda: new_password(settings))
    Menu(StandardTerminal(), world).run()
    return OK


def facts_of(settings: Settings, machine: Machine) -> Facts:
    """Look at everything the screen shows; what cannot be had is left empty."""
    try:
        mode = Door(settings).get("mode")
    except HoldfastError:
        mode = {}
    try:
        addresses = tuple(machine_addresses())
    except OSError:
        addresses = ()
    return Facts(
        version=__version__,
        hostname=socket.gethostname(),
        mode=clean(mode.get("mode", "")),
        reason=clean(mode.get("reason", "")),
        addresses=tuple(a for a in addresses if a not in ("127.0.0.1", "::1")),
        carriers=machine.carriers(),
        port=settings.admin_port,
        fingerprint=_fingerprint(settings),
        password=_one_time(settings),
        problems=tuple(clean(line) for line in machine.problems()),
    )


def new_password(settings: Settings) -> str:
    """Give `admin` a new one-time password and return it; raises as `Door` does."""
    answer = Door(settings).post("accounts/admin/password")
    return str(answer["password"])


def _one_time(settings: Settings) -> str:
    try:
        return clean(settings.admin_password_file.read_text().strip())
    except (OSError, ValueError):
        return ""


def _fingerprint(settings: Settings) -> str:
    for file in admin_certificates(settings):
        try:
            first = file.read_text(encoding="ascii").partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first.strip())).hexdigest()
        except (OSError, ValueError):
            continue
    return ""
