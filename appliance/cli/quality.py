"""How a call is heard, for people: a row for each leg, and what stands in a list of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.cli.output import milliseconds, print_table
from appliance.rtp.e_model import GOOD_MOS

LEGS = {"from_caller": "caller", "from_callee": "callee"}
"""What a call or record calls the counters of each leg, and what we call them."""
_SOURCES = {
    "rtcp": "the far phone's reports",
    "headers": "a sample of RTP headers",
    "counters": "packet counts",
}
_HEADINGS = (
    *("heard from", "MOS", "codec", "loss", "worst", "jitter", "worst", "round trip"),
    *("kbit/s", "packets", "strangers'", "refused", "as told by"),
)


def print_quality(call: Mapping[str, Any]) -> None:
    """Print a table of both legs of a call or a call record; nothing when nothing was heard."""
    legs = {name: call.get(field) or {} for field, name in LEGS.items()}
    if any(legs.values()):
        print()
        print_table(_HEADINGS, [_row(name, counters) for name, counters in legs.items()])


def mos_of(call: Mapping[str, Any]) -> str:
    """Write both legs' MOS, caller's first; `-` where it is not known yet."""
    found = [((call.get(field) or {}).get("quality") or {}).get("mos") for field in LEGS]
    return "/".join("-" if mos is None else f"{mos:.1f}" for mos in found)


def _row(name: str, counters: Mapping[str, Any]) -> tuple[Any, ...]:
    quality = counters.get("quality") or {}
    return (
        name,
        _score(quality.get("mos")),
        quality.get("codec"),
        _percent(quality.get("loss")),
        _percent(quality.get("loss_max")),
        milliseconds(quality.get("jitter")),
        milliseconds(quality.get("jitter_max")),
        milliseconds(quality.get("delay")),
        f"{quality['bitrate'] / 1000:.1f}" if quality else "-",
        counters.get("packets", 0),
        counters.get("dropped", 0),
        counters.get("refused", 0),
        _SOURCES.get(quality.get("source", ""), "-"),
    )


def _score(mos: float | None) -> str:
    if mos is None:
        return "-"
    return f"{mos:.2f} good" if mos >= GOOD_MOS else f"{mos:.2f} poor"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"
