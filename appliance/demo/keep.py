"""What `--keep` leaves running, and how to join it with a softphone of one's own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from appliance.demo.abroad import CARRIER_DIALLED, CARRIER_TONE
from appliance.demo.ports import ADDRESS
from appliance.demo.stage import SPARE, Stage
from appliance.demo.story import Story
from appliance.demo.timeline import Timeline


async def keep_running(stage: Stage, story: Story, timeline: Timeline) -> None:
    """Take the zones down again, so that Holdfast serves, and wait until interrupted."""
    timeline.head("Left running")
    await story.go_down_again()
    for line in _advice(stage):
        timeline.plain(line)
    await asyncio.get_running_loop().create_future()


def _advice(stage: Stage) -> list[str]:
    ports, first, command = stage.ports, stage.entries[0], _command()
    rows = [
        "The zones are down again and Holdfast serves. Register a softphone of your own:",
        f"  server    {ADDRESS}, UDP or TCP port {ports.sip}, TLS port {ports.sips}",
        f"  domain    {first.domain} (with {ADDRESS} as the outbound proxy)",
    ]
    for entry in stage.entries[-SPARE:]:
        rows.append(f"  number    {entry.extension}  login {entry.username}")
        rows.append(f"            password {entry.password}")
    rows += [
        f"  for TLS   trust {stage.holdfast_certificate}",
        f"Call {first.extension}: it answers and sends a tone of 440 Hz.",
        *_beyond(stage),
        f"Bring the cloud back: {command} cloud zone primary up --data {stage.folder / 'cloud'}",
        f"Look inside: {command} status --settings {stage.settings_file}",
        "End it with Ctrl-C.",
    ]
    return rows


def _beyond(stage: Stage) -> list[str]:
    """Say what can be dialled that is not here."""
    rows = []
    if stage.abroad.carrier is not None:
        rows.append(f"Call {CARRIER_DIALLED}: the carrier answers with {CARRIER_TONE} Hz.")
    for site in stage.abroad.sites:
        phone = site.phones[0]
        rows.append(f"Call {site.number(phone)}: {site.name} answers, {phone.settings.tone} Hz.")
    return rows


def _command() -> str:
    """Return how `holdfast` was called, so that the advice works as it stands."""
    called = sys.argv[0]
    return called if Path(called).name == "holdfast" else "holdfast"
