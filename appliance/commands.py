"""What admins ask of the core, and what it answers: plain maps and lists, nothing that lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from appliance.errors import LocalError
from appliance.pbx import overview
from appliance.pbx.drills import Drills
from appliance.pbx.survival import Survival
from appliance.pbx.switchboard import Switchboard
from appliance.pbx.testing import AskedTest, scope_of
from appliance.pbx.zones import Zones
from appliance.sip.matching import Transactions
from appliance.sip.redaction import redacted
from appliance.sip.traces import Traces
from sbc_bridge.emergency.alerts import Alerts
from sbc_bridge.emergency.overview import Overview
from sbc_bridge.trunk import Trunk

Row = dict[str, Any]


class Commanded(Protocol):
    """The core, as its commands see it; `core.Core` fulfils it."""

    switchboard: Switchboard
    survival: Survival | None
    zones: Zones | None
    trunk: Trunk
    alerts: Alerts
    emergency: Overview | None
    transactions: Transactions
    drills: Drills
    traces: Traces
    wall: Callable[[float], float]
    started: float
    """Monotonic seconds."""


def _status(core: Commanded, arguments: Row, now: float) -> Row:
    board, survival = core.switchboard, core.survival
    state = survival.state if survival is not None else None
    return {
        "mode": state.mode if state else "no_bundle",
        "since": state.since if state else core.wall(core.started),
        "reason": state.reason if state else "waiting for the first bundle",
        "uptime": now - core.started,
        "zones": _zone_list(core, arguments, now),
        "transactions": len(core.transactions),
        **overview.summary(board, now),
    }


def _zone_list(core: Commanded, arguments: Row, now: float) -> list[Row]:
    watches = core.zones.watches.values() if core.zones is not None else ()
    return [
        {
            "id": watch.zone.id,
            "host": watch.zone.host,
            "transport": watch.zone.transport,
            "state": watch.state,
            "since": core.wall(watch.since),
            "reason": watch.reason,
            "rtt": next((s.rtt for s in reversed(watch.history) if s.rtt is not None), None),
            "last_failure": (
                {
                    "at": core.wall(watch.last_failure.at),
                    "layer": watch.last_failure.layer,
                    "text": watch.last_failure.text,
                }
                if watch.last_failure
                else None
            ),
            "history": [{"at": core.wall(s.at), "rtt": s.rtt} for s in watch.history],
        }
        for watch in watches
    ]


def _mode(core: Commanded, arguments: Row, now: float) -> Row:
    if core.survival is None:
        return {"mode": "no_bundle", "since": None, "reason": "waiting for the first bundle"}
    return {**msgspec.to_builtins(core.survival.state), "next_drill": _next_drill(core, now)}


def _next_drill(core: Commanded, now: float) -> Row | None:
    due = core.drills.next(now)
    if due is None:
        return None
    drill = due.drill
    return {"id": drill.id, "at": due.at, "minutes": drill.minutes, "who": list(drill.who)}


def _begin_test(core: Commanded, arguments: Row, now: float) -> Row:
    """Serve whom the arguments name, for their seconds, as in an outage."""
    asked = msgspec.convert(arguments, AskedTest)
    site = core.switchboard.site
    if core.survival is None or site is None:
        raise LocalError("there is no bundle yet, so there is nobody to test with")
    scope = scope_of(site.bundle, site.directory, asked.who)
    core.survival.test(asked.seconds, now, scope, asked.by)
    return _mode(core, {}, now)


def _end_test(core: Commanded, arguments: Row, now: float) -> Row:
    if core.survival is None or core.survival.mode != "testing":
        raise LocalError("no test is running")
    core.survival.end_test(now, str(arguments.get("by") or "an admin"))
    return _mode(core, {}, now)


def _phones(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return overview.phones(core.switchboard, now)


def _phone_page(core: Commanded, arguments: Row, now: float) -> Row:
    asked = msgspec.convert(arguments, overview.AskedPage)
    return overview.phone_page(core.switchboard, now, **msgspec.structs.asdict(asked))


def _readiness(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return overview.readiness_of(core.switchboard, core.wall(now))


def _readiness_part(core: Commanded, arguments: Row, now: float) -> Row:
    asked = msgspec.convert(arguments, overview.AskedPage)
    wall = core.wall(now)
    return overview.readiness_part(core.switchboard, wall, asked.offset, asked.limit)


def _calls(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return overview.calls(core.switchboard)


def _messages(core: Commanded, arguments: Row, now: float) -> Row | None:
    trace = core.traces.find(str(arguments.get("id")))
    if trace is None:
        return None
    messages = [
        {
            "at": core.wall(message.at),
            "sent": message.sent,
            "transport": message.flow.transport,
            "local": message.flow.local,
            "remote": message.flow.remote,
            "data": redacted(message.data),
        }
        for message in trace.messages
    ]
    return {"messages": messages, "left_out": trace.left_out}


def _forwardings(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return overview.forwardings(core.switchboard)


def _reset_forwarding(core: Commanded, arguments: Row, now: float) -> Row:
    return overview.reset_forwarding(core.switchboard, arguments.get("extension"))


def _return_parked(core: Commanded, arguments: Row, now: float) -> Row:
    orbit = str(arguments.get("orbit"))
    if not core.switchboard.parking.give_back(orbit, now):
        raise LocalError(f"no call is parked at {orbit[:40]!r}; `holdfast calls` lists them")
    return {"orbit": orbit}


def _trunk(core: Commanded, arguments: Row, now: float) -> Row:
    return core.trunk.overview(now)


def _drain_sbc(core: Commanded, arguments: Row, now: float) -> Row:
    return core.trunk.drain(str(arguments.get("sbc")), True, now)


def _resume_sbc(core: Commanded, arguments: Row, now: float) -> Row:
    return core.trunk.drain(str(arguments.get("sbc")), False, now)


def _release_caller(core: Commanded, arguments: Row, now: float) -> Row:
    return core.trunk.release(str(arguments.get("extension")), now)


def _peers(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return core.trunk.sites(now)


def _drain_peer(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return core.trunk.drain_site(str(arguments.get("site")), True, now)


def _resume_peer(core: Commanded, arguments: Row, now: float) -> list[Row]:
    return core.trunk.drain_site(str(arguments.get("site")), False, now)


def _emergency(core: Commanded, arguments: Row, now: float) -> Row:
    return _of_emergencies(core).state(now)


def _emergency_trial(core: Commanded, arguments: Row, now: float) -> Row:
    extension, number, address = (
        str(arguments.get(name, "")) for name in ("extension", "number", "address")
    )
    return _of_emergencies(core).trial(extension, number, address, now)


def _emergency_alerts(core: Commanded, arguments: Row, now: float) -> Row:
    site = core.switchboard.site
    webhook = site.bundle.emergency.webhook if site is not None else ""
    return {"webhook": webhook, "alerts": core.alerts.waiting(now)}


def _emergency_told(core: Commanded, arguments: Row, now: float) -> Row:
    core.alerts.posted(msgspec.convert(arguments.get("keys"), list[str]))
    return {}


def _of_emergencies(core: Commanded) -> Overview:
    if core.emergency is None:
        raise LocalError("there is no bundle yet, so nobody knows what calls for help do")
    return core.emergency


COMMANDS: dict[str, Callable[[Commanded, Row, float], Any]] = {
    "status": _status,
    "zones": _zone_list,
    "mode": _mode,
    "test.begin": _begin_test,
    "test.end": _end_test,
    "phones": _phones,
    "phones.page": _phone_page,
    "calls": _calls,
    "calls.messages": _messages,
    "readiness": _readiness,
    "readiness.part": _readiness_part,
    "forwardings": _forwardings,
    "forwardings.reset": _reset_forwarding,
    "park.return": _return_parked,
    "trunk": _trunk,
    "trunk.drain": _drain_sbc,
    "trunk.resume": _resume_sbc,
    "trunk.release": _release_caller,
    "peers": _peers,
    "peers.drain": _drain_peer,
    "peers.resume": _resume_peer,
    "emergency": _emergency,
    "emergency.trial": _emergency_trial,
    "emergency.alerts": _emergency_alerts,
    "emergency.told": _emergency_told,
}
"""What the admin process may ask; records and bundle files are the store's and runtime's."""
