"""Quality of service: which mark our packets carry, by strategy (product H3).

A strategy is a table of kinds of traffic, as many as the network's devices have queues. The bundle
names one and may change its rows; three of our own kinds of packets look up their row in it.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from appliance.bundle.parts import Bundle, DscpQueue

Purpose = Literal["media", "signalling", "management"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)

CODE_POINTS: Final = {
    "DF": 0,
    "BE": 0,
    "EF": 46,
    "VA": 44,
    "LE": 1,
    **{f"CS{level}": level * 8 for level in range(8)},
    **{f"AF{level}{drop}": level * 8 + drop * 2 for level in (1, 2, 3, 4) for drop in (1, 2, 3)},
}
"""Names of DSCP values (RFC 2474, 2597, 3246, 5865, 8622)."""


def _rows(*rows: tuple[str, str]) -> tuple[DscpQueue, ...]:
    return tuple(
        DscpQueue(traffic=traffic, name=name, value=CODE_POINTS[name]) for traffic, name in rows
    )


STRATEGIES: Final[dict[str, tuple[DscpQueue, ...]]] = {
    "12-queue": _rows(
        ("network control", "CS6"),
        ("real-time telephony", "EF"),
        ("broadcast video", "CS5"),
        ("multimedia conferencing", "AF41"),
        ("real-time interactive", "CS4"),
        ("multimedia streaming", "AF31"),
        ("signalling", "CS3"),
        ("transactional", "AF21"),
        ("management", "CS2"),
        ("bulk", "AF11"),
        ("scavenger", "CS1"),
        ("best effort", "DF"),
    ),
    "4-queue": _rows(
        ("real-time", "EF"),
        ("transactional", "AF31"),
        ("signalling", "CS3"),
        ("best effort", "DF"),
    ),
}

DEFAULT: Final = "12-queue"

_TRAFFIC: Final[dict[Purpose, tuple[str, ...]]] = {
    "media": ("real-time telephony",),
    "signalling": ("signalling",),
    # A network of four queues has none for management; transactional is where it belongs there.
    "management": ("management", "transactional"),
}
"""Rows a purpose looks for, the first that the table has."""
USES: Final[dict[Purpose, str]] = {
    "media": "RTP and RTCP of calls, prompts and music",
    "signalling": "SIP with phones, zones, SBCs and peers",
    "management": "HTTPS API, bundle and call records",
}
"""What of ours has which purpose."""
_ALSO_CALLED: Final = {
    "real time": "real time telephony",
    "telephony": "real time telephony",
    "voice": "real time telephony",
    "signaling": "signalling",
    "transactional data": "transactional",
    "management/oam": "management",
    "oam": "management",
    "bulk data": "bulk",
    "default": "best effort",
}


class Marks(msgspec.Struct, frozen=True):
    """DSCP values, 0 to 63, that our packets carry; the defaults hold until there is a bundle."""

    media: int = 46
    signalling: int = 24
    management: int = 16


class Class(msgspec.Struct, frozen=True):
    """One row of the table in force, as admins are shown it."""

    traffic: str
    name: str
    value: int
    purposes: tuple[Purpose, ...]
    """What of ours is marked with it."""
    mismatch: str = ""
    """Why name and number do not fit; empty: they do."""
    changed: bool = False
    """The bundle has changed this row of the strategy."""


class InForce(msgspec.Struct, frozen=True):
    """The strategy that packets are marked by, as admins are shown it."""

    strategy: str
    classes: list[Class]
    marks: Marks
    uses: dict[Purpose, str]
    """What of ours has which purpose."""
    strange: list[str]
    """Kinds of traffic that the bundle names and the strategy does not have: they mark nothing."""
    bundle: int | None = None
    """Version of the bundle that says so; None: there is none, and this is what holds until then.
    """


def in_force(bundle: Bundle | None) -> InForce:
    """Return what this bundle wants, or what holds without one."""
    if bundle is None:
        rows, strategy = STRATEGIES[DEFAULT], DEFAULT
        return InForce(strategy, _classes(rows, rows), Marks(), dict(USES), [])
    strategy = bundle.policies.dscp_strategy
    standard = STRATEGIES[strategy]
    known = {plain(row.traffic) for row in standard}
    strange = [row.traffic for row in bundle.dscp if plain(row.traffic) not in known]
    shown = _classes(table(bundle), standard)
    return InForce(strategy, shown, marks(bundle), dict(USES), strange, bundle.version)


def table(bundle: Bundle) -> tuple[DscpQueue, ...]:
    """Return the strategy's rows with the bundle's in place of those they name."""
    own = {plain(row.traffic): row for row in bundle.dscp}
    rows = STRATEGIES[bundle.policies.dscp_strategy]
    return tuple(
        msgspec.structs.replace(own.get(plain(row.traffic), row), traffic=row.traffic)
        for row in rows
    )


def marks(bundle: Bundle) -> Marks:
    """Return what the bundle wants our packets marked with."""
    values = {plain(row.traffic): row.value for row in table(bundle)}
    return Marks(**{purpose: values[_row_of(purpose, values)] for purpose in PURPOSES})


def mismatch(row: DscpQueue) -> str:
    """Say why a row's name and number do not fit together; empty: they do."""
    value = CODE_POINTS.get(row.name.upper())
    if value == row.value:
        return ""
    if value is None:
        return f"`{row.name}` is no name of a DSCP value"
    meant = ", ".join(name for name, code in CODE_POINTS.items() if code == row.value)
    return f"`{row.name}` is {value}, not {row.value}" + (f" ({meant})" if meant else "")


def plain(traffic: str) -> str:
    """Return the name of a kind of traffic as it is compared."""
    name = " ".join(traffic.lower().replace("-", " ").replace("_", " ").split())
    return _ALSO_CALLED.get(name, name)


def _row_of(purpose: Purpose, rows: dict[str, int]) -> str:
    return next(name for wanted in _TRAFFIC[purpose] if (name := plain(wanted)) in rows)


def _classes(rows: tuple[DscpQueue, ...], standard: tuple[DscpQueue, ...]) -> list[Class]:
    values = {plain(row.traffic): row.value for row in rows}
    used = {purpose: _row_of(purpose, values) for purpose in PURPOSES}
    return [
        Class(
            row.traffic,
            row.name,
            row.value,
            tuple(purpose for purpose, name in used.items() if name == plain(row.traffic)),
            mismatch(row),
            row != before,
        )
        for row, before in zip(rows, standard, strict=True)
    ]
