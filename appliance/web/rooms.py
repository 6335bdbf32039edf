"""Everything the admin process serves, built once: each room with what it needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from appliance.phonebook.upkeep import Directory
from appliance.ports import Commands
from appliance.settings import Settings
from appliance.web.api import Api, BundleDoor
from appliance.web.backup_api import BackupApi, Snapshots
from appliance.web.call_pages import CallPages
from appliance.web.capture_pages import CapturePages
from appliance.web.captures_api import CaptureDoor, CapturesApi
from appliance.web.configuration_pages import ConfigurationPages
from appliance.web.diagnostics_api import DiagnosticsApi, Examination
from appliance.web.diagnostics_pages import DiagnosticsPages
from appliance.web.diary import Diary, SlotStore
from appliance.web.directory import DirectoryApi
from appliance.web.door_pages import DoorPages
from appliance.web.emergency import EmergencyApi
from appliance.web.events import Events
from appliance.web.gate import Gate
from appliance.web.help_pages import HelpPages
from appliance.web.live import Live
from appliance.web.messages_api import MessagesApi
from appliance.web.metrics import Metrics
from appliance.web.outside_pages import OutsidePages
from appliance.web.page import Pages
from appliance.web.peer_pages import PeerPages
from appliance.web.peers_api import PeersApi
from appliance.web.people_api import PeopleApi
from appliance.web.record_pages import RecordPages
from appliance.web.site_api import SiteApi
from appliance.web.site_pages import Desk, SitePages
from appliance.web.stored import Stored
from appliance.web.system_pages import SystemPages
from appliance.web.trunk_api import TrunkApi
from appliance.web.versions_api import VersionsApi


class Room(Protocol):
    """Some routes that belong together."""

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        ...


class AdminData(SlotStore, Snapshots, Protocol):
    """What the admin process keeps: the zones' days, and a copy of all of it."""


@dataclass(frozen=True)
class Rooms:
    """All rooms, and what runs beside them."""

    parts: tuple[Room, ...]
    live: Live
    diary: Diary
    pages: Pages
    stored: Stored

    def routes(self) -> list[web.RouteDef]:
        """Return every route there is."""
        return [route for part in self.parts for route in part.routes()]


def open_rooms(
    settings: Settings,
    core: Commands,
    bundles: BundleDoor,
    gate: Gate,
    directory: Directory,
    store: AdminData,
    examination: Examination,
    captures: CaptureDoor,
    uploads: Callable[[], Any] = lambda: None,
    settings_file: Path | None = None,
    stored: Stored | None = None,
) -> Rooms:
    """Build every room; `stored` may know the bundle in force already."""
    live = Live(core, settings, lambda: {"bundle": bundles.state, "records": uploads()})
    diary = Diary(core, store)
    stored, pages = stored or Stored(settings), Pages()
    site = SiteApi(core, live, diary, stored)
    said = MessagesApi(core)
    checks, packets = DiagnosticsApi(examination), CapturesApi(captures)
    desk = Desk(core, bundles, gate, directory, live, diary, stored, site)
    parts: tuple[Room, ...] = (
        Api(core, bundles, uploads),
        PeopleApi(gate),
        DirectoryApi(directory),
        EmergencyApi(core),
        TrunkApi(core),
        PeersApi(core),
        checks,
        packets,
        said,
        site,
        Events(live, gate),
        Metrics(live),
        DoorPages(pages, gate),
        SitePages(pages, desk),
        HelpPages(pages, desk),
        OutsidePages(pages, desk),
        PeerPages(pages, desk),
        VersionsApi(bundles, live, stored),
        ConfigurationPages(pages, desk),
        BackupApi(core, store, settings, settings_file),
        DiagnosticsPages(pages, examination, checks),
        CapturePages(pages, captures, packets),
        CallPages(pages, desk, said),
        RecordPages(pages, desk, said),
        SystemPages(pages, desk),
    )
    return Rooms(parts, live, diary, pages, stored)
