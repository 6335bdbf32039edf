"""`holdfast ldap`: the directory for desk phones, served by slapd."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import Any

from appliance.adapters.ldap.build import program
from appliance.adapters.ldap.server import LdapServer
from appliance.cli.logs import configure_logs
from appliance.cli.options import OK, new_parser, settings_of
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
    configure_logs()
    asyncio.run(_serve_until_signal(settings))
    return OK


async def _serve_until_signal(settings: Settings) -> None:
    serving = asyncio.create_task(serve(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    tell_systemd("READY=1")
    feed_watchdog(loop)
    try:
        await serving
    except asyncio.CancelledError:
        log.info("stopped")


async def serve(settings: Settings) -> None:
    """Serve until cancelled; without slapd, or where it is switched off, only wait for that."""
    if settings.ldap == "off" or program("slapd") is None:
        why = "`ldap` is off" if settings.ldap == "off" else "slapd is not installed"
        log.info("no directory over LDAP: %s", why)
        # To end would make whoever supervises us start us again and again.
        await asyncio.Event().wait()
    await LdapServer(settings).run()
