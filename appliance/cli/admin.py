"""`holdfast admin`: web pages and API on HTTPS, the cloud's bundles, upload of call records."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

from appliance.adapters.admin_store import AdminStore
from appliance.adapters.ipc import IpcClient
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.bundle import Bundle
from appliance.cli.door import admin_folder
from appliance.cli.logs import configure_logs
from appliance.cli.options import OK, file_of, new_parser, settings_of
from appliance.cli.serving import serve_until_signal
from appliance.cloud.client import CloudClient
from appliance.cloud.identity import Renewal, with_enrolment
from appliance.cloud.records import RecordUpload
from appliance.cloud.sync import BundleSync
from appliance.cloud.webhook import AlertHook
from appliance.diagnostics.captures import Captures
from appliance.diagnostics.examiner import Examiner, surroundings_of
from appliance.diagnostics.witness import Witness, look_into
from appliance.errors import LocalError
from appliance.phonebook.upkeep import Directory
from appliance.settings import Settings
from appliance.supervision import feed_watchdog, tell_systemd
from appliance.web.app import make_application, serving
from appliance.web.auth import ensure_token
from appliance.web.gate import Gate
from appliance.web.people import People
from appliance.web.rooms import open_rooms
from appliance.web.stored import Stored

log = logging.getLogger("holdfast.admin")
COLLECTED = (50_000, 20, 50)
"""Objects, and rounds of each younger generation, after which the collector looks at them: a look
at all of a site of 10,000 users keeps every page waiting for 0.15 s, and by default comes often."""


def add_parser(subparsers: Any) -> None:
    """Add `admin`."""
    parser = new_parser(subparsers, "admin", "run the admin process: HTTPS API and cloud")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    settings = settings_of(arguments)
    configure_logs("admin")
    gc.set_threshold(*COLLECTED)
    asyncio.run(serve_until_signal(serve(settings, file_of(arguments.settings_file)), log))
    return OK


async def serve(settings: Settings, settings_file: Path | None = None) -> None:
    """Run the admin process until cancelled.

    It needs nobody: without core it answers 503, without the cloud it keeps what it has. Raises
    LocalError or Unavailable when it cannot begin.
    """
    settings = with_enrolment(settings)
    token = ensure_token(settings.admin_token_file)
    tls = _tls(settings)
    core = IpcClient(settings.core_socket)
    cloud, fault = _cloud(settings)
    directory, stored = Directory(settings.data), Stored(settings)

    def applied(bundle: Bundle) -> None:
        stored.take(bundle)
        directory.apply(bundle)

    sync = BundleSync(settings, cloud, core, applied=applied)
    sync.state.failure = sync.state.failure or fault
    uploads = RecordUpload(cloud, core) if cloud else None
    store = AdminStore(settings.admin_database, log.error)
    gate = Gate(People(store), token, [socket.gethostname(), *settings.admin_hosts])
    told = uploads.state if uploads else None
    surroundings = surroundings_of(settings, core, sync.state)
    examiner = Examiner(surroundings)
    captures = Captures(surroundings, settings.data / "captures")
    rooms = open_rooms(
        settings,
        core,
        sync,
        gate,
        directory,
        store,
        examiner,
        captures,
        lambda: told,
        settings_file,
        stored,
    )
    application = make_application(gate, rooms.routes(), rooms.pages.refuse)
    try:
        await gate.people.begin(settings.admin_password_file)
        async with (
            serving(application, settings.admin_address, settings.admin_port, tls) as port,
            asyncio.TaskGroup() as tasks,
        ):
            log.info("pages and API at https://%s:%d", settings.admin_address, port)
            tell_systemd("READY=1")
            feed_watchdog(asyncio.get_running_loop())
            tasks.create_task(sync.run())
            tasks.create_task(rooms.diary.run())
            tasks.create_task(AlertHook(core).run())
            tasks.create_task(Witness(core, rooms.stored.bundle, look_into(settings)).run())
            if uploads:
                tasks.create_task(uploads.run())
            if cloud:
                tasks.create_task(Renewal(settings, cloud).run())
    finally:
        await rooms.live.close()
        await captures.close()
        await examiner.close()
        await directory.stop()
        await core.close()
        await store.close()
        if cloud:
            await cloud.close()


def _tls(settings: Settings) -> ssl.SSLContext:
    """Use the admin's certificate, else our own: a wrong file must not lock the admin out."""
    if settings.tls_certificate is not None:
        try:
            key = settings.tls_key or settings.tls_certificate
            return server_context(settings.tls_certificate, key)
        except LocalError as error:
            log.error("%s; showing our own instead", error)
    names = list(dict.fromkeys([socket.gethostname(), "localhost", "127.0.0.1", "::1"]))
    return server_context(*ensure_certificate(admin_folder(settings), names))


def _cloud(settings: Settings) -> tuple[CloudClient | None, str]:
    """Return the cloud's client; a wrong setting is shown in the status and ends nothing."""
    if not settings.cloud_url:
        return None, ""
    try:
        return CloudClient(settings), ""
    except LocalError as error:
        log.error("%s", error)
        return None, str(error)
