"""What admins are shown of the switchboard: plain maps and lists, nothing that lives."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.bundle import Forwarding, User
from appliance.call.call import Call, CallState
from appliance.errors import LocalError
from appliance.pbx.forwarding import WAYS
from appliance.pbx.location import Binding
from appliance.pbx.park import place_of
from appliance.pbx.readiness import readiness
from appliance.pbx.switchboard import Switchboard

Row = dict[str, Any]
PLAIN = Forwarding()
"""Of a user whose calls just ring."""


class AskedPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `phones.page`."""

    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    search: str = ""
    state: Literal["", "registered", "missing"] = ""


def summary(board: Switchboard, now: float) -> Row:
    """Return the switchboard's part of the status."""
    bundle = board.site.bundle if board.site is not None else None
    told = (
        {"version": bundle.version, "site": bundle.site.id, "issued": bundle.issued}
        if (bundle)
        else None
    )
    return {
        "phones": {
            "registered": len(board.location),
            "expected": len(bundle.devices) if bundle else 0,
        },
        "users": {
            "registered": board.location.users(),
            "total": len(bundle.users) if bundle else 0,
        },
        "calls": len(board.calls),
        "ports": board.ports_taken,
        "bundle": told,
        "guard": {"banned": [ban._asdict() for ban in board.guard.banned(now)]},
    }


def phones(board: Switchboard, now: float) -> list[Row]:
    """Return every registered phone, and every user without one, in the bundle's order."""
    if board.site is None:
        return []
    rows: list[Row] = []
    for user in board.site.bundle.users:
        bindings = board.location.of_user(user.id)
        rows += [_phone(user, binding, now) for binding in bindings]
        if not bindings:
            rows.append({**_user(user), "registered": False})
    return rows


def phone_page(
    board: Switchboard, now: float, offset: int, limit: int, search: str, state: str
) -> Row:
    """Return some of the rows of `phones`, and how many there are in all.

    `search` is any part of a name, extension, address or user agent; `state` is `registered`,
    `missing` or empty for both. Only the rows that are returned are written out.
    """
    if board.site is None:
        return {"total": 0, "rows": []}
    wanted = search.casefold()
    found: list[tuple[User, Binding | None]] = []
    for user in board.site.bundle.users:
        bindings = board.location.of_user(user.id)
        if state != "missing":
            found += [(user, one) for one in bindings if _matches(user, one, wanted)]
        if not bindings and state != "registered" and _matches(user, None, wanted):
            found.append((user, None))
    rows = [
        _phone(user, one, now) if one is not None else {**_user(user), "registered": False}
        for user, one in found[offset : offset + limit]
    ]
    return {"total": len(found), "rows": rows}


def _matches(user: User, binding: Binding | None, wanted: str) -> bool:
    if not wanted or wanted in user.name.casefold() or wanted in user.extension:
        return True
    return binding is not None and (
        wanted in binding.flow.remote[0] or wanted in binding.user_agent.casefold()
    )


def readiness_of(board: Switchboard, wall: float) -> list[Row]:
    """Return whether each phone would work if the cloud went now; `wall` is Unix time."""
    lines: list[Row] = readiness_part(board, wall, 0, sys.maxsize)["lines"]
    return lines


def readiness_part(board: Switchboard, wall: float, offset: int, limit: int) -> Row:
    """Return the same for some users, and with which one the next part begins; None: with none.

    10,000 users take 0.2 s, which no call may wait for.
    """
    if board.site is None:
        return {"lines": [], "next": None}
    people, bundle = board.people, board.site.bundle
    end = offset + limit
    some = msgspec.structs.replace(bundle, users=bundle.users[offset:end])
    lines = readiness(some, people.location, people.sightings, wall)
    return {
        "lines": msgspec.to_builtins(lines),
        "next": end if end < len(bundle.users) else None,
    }


def calls(board: Switchboard) -> list[Row]:
    """Return the calls that are up now."""
    return [_call(call) for call in board.calls.values() if call.state is not CallState.ENDED]


def forwardings(board: Switchboard) -> list[Row]:
    """Return the users whose calls do not just ring, with what is in force and who set it."""
    if board.site is None:
        return []
    own = board.people.forwardings
    # Most users have none, and a call may wait for this: 4 ms at 10,000 instead of 38.
    some = (u for u in board.site.bundle.users if u.forwarding != PLAIN or own.has_set(u))
    rows = [_forwarding(board, user) for user in some]
    return [row for row in rows if row["set_on_phone"] or row["in_force"]]


def reset_forwarding(board: Switchboard, extension: object) -> Row:
    """Undo what a user has set on the phone; raises LocalError where there is no such user."""
    directory = board.site.directory if board.site is not None else None
    user = directory.by_extension(extension) if directory and isinstance(extension, str) else None
    if user is None:
        raise LocalError(f"no user has the extension {str(extension)[:40]!r}")
    changed = board.people.forwardings.reset(user.id)
    return {**_forwarding(board, user), "changed": changed}


def _forwarding(board: Switchboard, user: User) -> Row:
    own = board.people.forwardings.own(user)
    return {
        **_user(user),
        "in_force": _ways(board.people.forwardings.of(user)),
        "in_bundle": _ways(user.forwarding),
        "set_on_phone": {
            name: value
            for name in (*WAYS, "do_not_disturb")
            if (value := getattr(own, name)) is not None
        },
    }


def _ways(forwarding: Forwarding) -> Row:
    """Return what is set of a forwarding."""
    ways: Row = {name: getattr(forwarding, name) for name in WAYS if getattr(forwarding, name)}
    if forwarding.no_answer:
        ways["no_answer_after"] = forwarding.no_answer_after
    if forwarding.do_not_disturb:
        ways["do_not_disturb"] = True
    return ways


def _user(user: User) -> Row:
    return {"user": user.id, "name": user.name, "extension": user.extension}


def _phone(user: User, binding: Binding, now: float) -> Row:
    return {
        **_user(user),
        "registered": True,
        "contact": binding.contact,
        "transport": binding.flow.transport,
        "address": binding.flow.remote[0],
        "port": binding.flow.remote[1],
        "user_agent": binding.user_agent,
        "expires_in": round(binding.expires_at - now),
        "reachable": not binding.flow_lost,
    }


def _call(call: Call) -> Row:
    record = call.draft.record
    return {
        "id": call.id,
        "caller": record.caller,
        "callee": record.callee,
        "answered_by": record.answered_by,
        "state": call.state.value,
        "parked": place_of(call),
        "started": record.started,
        "answered": record.answered,
        "steps": list(record.steps),
        "stamps": msgspec.to_builtins(record.stamps),
    }
