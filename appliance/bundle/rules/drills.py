"""Drills: when they begin, and for whom (A6)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows
from appliance.bundle.rules.places import is_date


def drills_have_a_day(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a drill that never begins, or that is both once and each week."""
    for path, drill in rows("drills", bundle.drills):
        if bool(drill.days) == (drill.day is not None):
            text = "write either the weekdays in `days` or one date in `day`"
            yield Problem(f"{path}.days", text)
        yield from repeated(rows(f"{path}.days", drill.days), "name each weekday once")
        if drill.day is not None and not is_date(drill.day):
            text = f"`{drill.day}` is not in the calendar; write a date like 2026-12-25"
            yield Problem(f"{path}.day", text)


def drills_are_for_somebody(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a word that names no phone, no user and no group with members."""
    if not bundle.drills:
        return
    known, empty = _named(bundle)
    for path, drill in rows("drills", bundle.drills):
        words = rows(f"{path}.who", drill.who)
        for below, word in words:
            if word in known or word.lower().replace("-", "") in known:
                continue
            if word in empty:
                text = f"nobody belongs to `{word}`; name others, or remove it"
            else:
                text = f"`{word}` is no extension, phone or group of this site; mend or remove it"
            yield Problem(below, text)
        yield from repeated(words, "name each once")


def _named(bundle: Bundle) -> tuple[set[str], set[str]]:
    """Return what names somebody, and the phones and groups that name nobody."""
    users = {name for user in bundle.users for name in (user.id, user.extension, *user.aliases)}
    some = [((group.extension, group.id), group.members) for group in bundle.groups]
    some += [((phone.id, phone.mac), phone.users) for phone in bundle.devices]
    known = users | {name for names, members in some if members for name in names if name}
    return known, {name for names, _ in some for name in names} - known
