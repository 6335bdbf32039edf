"""`holdfast ldap`: the directory for desk phones, served by slapd."""

from __future__ import annotations

import argparse
import asyncio
import logging
from typing import Any

from appliance.adapters.ldap.build import program
from appliance.adapters.ldap.server import LdapServer
from appliance.cli.logs import configure_logs
from appliance.cli.options import OK, new_parser, settings_of
from appliance.cli.serving import serve_until_signal
from appliance.settings import Settings
from appliance.supervision import feed_watchdog, tell_systemd

log = logging.getLogger("holdfast.ldap")


def add_parser(subparsers: Any) -> None:
    """Add `ldap`."""
    parser = new_parser(subparsers, "ldap", "run the directory for desk phones: LDAP by slapd")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; where there is nothing to serve, say so and wait."""
    settings = settings_of(arguments)
    configure_logs("ldap")
    asyncio.run(serve_until_signal(serve(settings), log))
    return OK


async def serve(settings: Settings) -> None:
    """Serve until cancelled; without slapd, or where it is switched off, only wait for that."""
    tell_systemd("READY=1")
    feed_watchdog(asyncio.get_running_loop())
    if settings.ldap == "off" or program("slapd") is None:
        why = "`ldap` is off" if settings.ldap == "off" else "slapd is not installed"
        log.info("no directory over LDAP: %s", why)
        # To end would make whoever supervises us start us again and again.
        await asyncio.Event().wait()
    await LdapServer(settings).run()
