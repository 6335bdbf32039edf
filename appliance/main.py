"""Builds the signalling process once, runs it until it is told to stop, and takes it down again."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from appliance.adapters.addresses import machine_addresses
from appliance.adapters.gateways import Locator
from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.ipc import IpcPeer, IpcServer
from appliance.adapters.journal import Journal
from appliance.adapters.link import LinkedProber, LinkWatch
from appliance.adapters.mutual_tls import MutualTls
from appliance.adapters.store import Store
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.adapters.wire import SipWire
from appliance.adapters.zone_probe import Prober
from appliance.bundle.dscp import Marks, marks
from appliance.call.actions import Notice
from appliance.core import Core
from appliance.errors import HoldfastError, LocalError
from appliance.journald import connect_journald
from appliance.marking import SIGNALLING
from appliance.media.plane import MediaClient
from appliance.runtime import Runtime
from appliance.settings import Settings
from appliance.sounds.upkeep import SoundUpkeep
from appliance.supervision import feed_watchdog, tell_systemd

new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # Without it a registration costs half as much again.
    import uvloop

    new_loop = uvloop.new_event_loop

DESCRIPTORS = 65_536
"""Open files we ask for: 10,000 phones on TLS, and as many again while they all come back."""
SPARE = 256
"""Descriptors kept for everything but phones: database, sockets between processes, zones."""
YOUNG, MIDDLE, OLD = 50_000, 20, 50
"""Garbage collection: nearly everything here dies by its reference count, so look seldom."""


def run_core(settings: Settings) -> int:
    """Serve SIP until SIGTERM or SIGINT; return the exit status."""
    journal = Journal(journald=connect_journald("core"))
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_Process(settings, journal).run())
    except HoldfastError as error:
        journal.notice(Notice("alarm", "core.start", str(error)))
        return 1
    return 0


class _Process:
    """Everything one signalling process is made of."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal

    async def run(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        # Nothing of a start is garbage: 1,000 calls are taken up in 0.17 s instead of 0.37.
        gc.disable()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        limit = _raise_descriptor_limit()
        lock = _lock(settings)
        store = Store(settings.data / "core.db", self._journal.notice)
        identifiers = RandomIdentifiers()
        core = Core(settings, identifiers, _wall, store.start())
        media = MediaClient(settings.media_socket)
        prober = Prober(loop, identifiers, memory=settings.data / "zone_addresses.json")
        locator = Locator(loop, memory=settings.data / "sbc_addresses.json")
        trunk = MutualTls(self._trunk_certificate, self._journal.notice)
        outside = (locator, trunk)
        link = LinkWatch(loop, self._journal.notice)
        judged = LinkedProber(prober, link)
        runtime = Runtime(loop, core, store, media, judged, outside, self._journal)
        context = self._server_context()
        wire = SipWire(loop, runtime, self._journal.notice, settings, context, trunk, limit)
        server = IpcServer(settings.core_socket, runtime.command)
        sounds = SoundUpkeep(settings.sounds_folder, self._journal.notice)
        runtime.on_bundle(sounds.apply)
        runtime.on_bundle(lambda bundle: _mark(media, marks(bundle)))
        loop.add_signal_handler(signal.SIGHUP, self._reload_certificates, wire, trunk)
        try:
            link.start(wire.look)
            runtime.start(wire, lambda: _figures(wire, link))
            await self._load_bundle(runtime)
            wire.start()
            media.resync(core.relays())
            media.start()
            await server.start()
            _settle_memory()
            self._say("info", "core.start", f"serving {_served(wire)}")
            tell_systemd("READY=1")
            feed_watchdog(loop)
            await stopping.wait()
            tell_systemd("STOPPING=1")
        finally:
            runtime.stop()
            link.stop()
            wire.stop()
            prober.close()
            locator.close()
            await sounds.stop()
            await server.stop()
            await media.stop()
            store.stop()
            os.close(lock)
        self._say("info", "core.stop", "stopped")

    async def _load_bundle(self, runtime: Runtime) -> None:
        """Begin with the last good bundle; without one phones get 503 until one is applied."""
        file = self._settings.bundle_file
        if not file.exists():
            self._say("warning", "core.bundle", f"no bundle yet in {file}; waiting for one")
            return
        try:
            await runtime.command("bundle.apply", {"path": str(file)}, IpcPeer(os.getpid(), 0))
        except HoldfastError as error:
            self._say("alarm", "core.bundle", f"{error}; waiting for a better one")

    def _server_context(self) -> ssl.SSLContext | None:
        """Use the admin's certificate, else our own: a wrong file must not silence the phones."""
        settings = self._settings
        if settings.tls_certificate is not None:
            key = settings.tls_key or settings.tls_certificate
            try:
                return server_context(settings.tls_certificate, key)
            except LocalError as error:
                self._say("alarm", "core.certificate", f"{error}; showing our own instead")
        try:
            return server_context(*self._own_certificate())
        except HoldfastError as error:
            self._say("alarm", "core.certificate", f"{error}; TLS is not served")
            return None

    def _own_certificate(self) -> tuple[Path, Path]:
        names = [socket.gethostname(), *(self._settings.addresses or machine_addresses())]
        return ensure_certificate(self._settings.data / "tls", names)

    def _trunk_certificate(self) -> tuple[Path, Path]:
        """Return what SBCs and other sites are shown: what is set for them, else as phones are."""
        settings = self._settings
        own = settings.trunk_certificate or settings.tls_certificate
        if own is None:
            return self._own_certificate()
        key = settings.trunk_key if settings.trunk_certificate else settings.tls_key
        return own, key or own

    def _reload_certificates(self, wire: SipWire, trunk: MutualTls) -> None:
        trunk.reload()
        context = self._server_context()
        if context is not None:
            wire.reload(context)
            self._say("info", "core.certificate", "new TLS connections get the new certificate")

    def _say(self, severity: str, topic: str, text: str) -> None:
        self._journal.notice(Notice(severity, topic, text))


def _wall(now: float) -> float:
    """Turn monotonic seconds into Unix time; a clock set meanwhile is followed at once."""
    return now + (time.time() - time.monotonic())


def _mark(media: MediaClient, wanted: Marks) -> None:
    """Have everything that is sent from now on carry these DSCP values."""
    SIGNALLING.change(wanted.signalling)
    media.mark(wanted.media)


def _lock(settings: Settings) -> int:
    """Make sure that there is one of us: two writers would corrupt core.db."""
    try:
        # Not in `data`: that disk may be read-only, and we serve all the same.
        settings.run.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(settings.run / "core.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalError(f"{settings.run}: {error.strerror}; make it ours to write") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise LocalError(f"another `holdfast core` uses {settings.run}; stop it first") from error
    return lock


def _raise_descriptor_limit() -> int:
    """Raise the limit of open files as far as allowed; return how many may be phones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((DESCRIPTORS, max(DESCRIPTORS, hard)), (min(DESCRIPTORS, hard), hard)):
        if soft < DESCRIPTORS:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - SPARE, SPARE)


def _settle_memory() -> None:
    """Take what is there now out of every later collection."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def _served(wire: SipWire) -> str:
    return ", ".join(
        f"{transport} on {len(places)} addresses" for transport, places in wire.served.items()
    )


def _figures(wire: SipWire, link: LinkWatch) -> dict[str, Any]:
    return {
        "wire": wire.statistics(),
        "served": wire.served,
        "link": {"up": link.up, "cards": link.cards},
    }
