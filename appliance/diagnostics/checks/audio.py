"""How audio fares on the way to the cloud and back: loss, jitter, delay, and MOS by the E-model."""

from __future__ import annotations

import asyncio
from statistics import mean

from appliance.bundle import Zone
from appliance.bundle.dscp import marks
from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.loopback import Heard, loop_back
from appliance.rtp.e_model import speech_quality
from appliance.rtp.impairment import impairment_of

PACKETS = 200
"""Four seconds of talking."""
BUFFER = 0.04
"""Seconds a phone keeps packets to even them out, and twice the jitter on top."""
GOOD, BAD = 3.5, 2.5
"""MOS."""


async def run(around: Surroundings) -> Outcome:
    """Send audio to every zone that sends it back."""
    bundle = around.bundle
    echoing = [] if bundle is None else [zone for zone in bundle.zones if zone.echo_port]
    if bundle is None or not echoing:
        return not_applicable("no zone sends audio back (`echo_port` in the configuration)")
    mark = marks(bundle).media
    heard = await asyncio.gather(*(loop_back(zone, PACKETS, mark) for zone in echoing))
    found = [_judge(zone, one) for zone, one in zip(echoing, heard, strict=True)]
    return together(found, "audio would be heard well")


def _judge(zone: Zone, heard: Heard) -> Outcome:
    if not heard.round_trips:
        text = f"zone {zone.id}: no packet came back from UDP port {zone.echo_port}"
        return fail(text, "Let UDP out to the cloud in the firewall, and its answers in.")
    score = _mos(heard)
    round_trip = mean(heard.round_trips)
    text = (
        f"zone {zone.id}: MOS {score:.1f}, {heard.loss * 100:.1f} % lost, "
        f"jitter {heard.jitter * 1000:.1f} ms, {round_trip * 1000:.0f} ms there and back"
    )
    advice = "See to the internet line and its queues; the check of the marks tells more."
    if score < BAD:
        return fail(text, advice)
    return warn(text, advice) if score < GOOD else ok(text)


def _mos(heard: Heard) -> float:
    """Return the quality one way, if both ways are alike."""
    values = impairment_of("PCMU", 64_000)
    if values is None:
        return 0.0
    delay = mean(heard.round_trips) / 2 + BUFFER + 2 * heard.jitter
    loss = 1 - (1 - heard.loss) ** 0.5
    return speech_quality(values.scale, values.ie, values.bpl, loss, delay)


CHECK = Check(
    "audio", "Audio", "Sends audio to the cloud and measures how it comes back.", 20.0, run
)
