"""Link, speed, duplex, VLAN and errors of every network card."""

from __future__ import annotations

import asyncio

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, together, warn
from appliance.diagnostics.ground import Card, cards

SLOWEST = 100
"""Megabits a second; 1,000 calls of G.711 need 174 of them each way."""
UNSTEADY = 20
"""Changes of signal since the start."""


async def run(around: Surroundings) -> Outcome:
    """Ask the kernel for every card."""
    found = await asyncio.to_thread(cards)
    if not found:
        return fail("no network card is switched on", "Set up the network of this machine.")
    if not any(card.signal for card in found):
        return fail(
            "no card has a signal", "Plug the cable in, or see to the switch.", *map(_line, found)
        )
    return together([_judge(card) for card in found], "every cable is well")


def _judge(card: Card) -> Outcome:
    line = _line(card)
    if not card.signal:
        return warn(f"{card.name} has no signal", "Plug it in, or switch the card off.", line)
    if card.duplex == "half":
        return fail(
            f"{card.name} runs half duplex", "Let both ends negotiate speed and duplex.", line
        )
    if card.speed is not None and card.speed < SLOWEST:
        return warn(
            f"{card.name} runs at {card.speed} Mbit/s", "See to cable and switch port.", line
        )
    if card.errors:
        text = f"{card.name} has seen {card.errors} broken packets"
        return warn(text, "See to the cable and the switch port if the number grows.", line)
    if card.changes > UNSTEADY:
        text = f"the signal of {card.name} has come and gone {card.changes} times"
        return warn(text, "See to the cable and the switch port.", line)
    return ok(line)


def _line(card: Card) -> str:
    speed = f"{card.speed} Mbit/s" if card.speed is not None else "speed not told"
    duplex = f", {card.duplex} duplex" if card.duplex else ""
    vlan = f", VLAN {card.vlan}" if card.vlan is not None else ", no VLAN tag"
    signal = "signal" if card.signal else "no signal"
    return f"{card.name}: {signal}, {speed}{duplex}{vlan}, MTU {card.mtu}"


CHECK = Check(
    "cables", "Cables", "Looks at signal, speed, duplex, VLAN and errors of each card.", 5.0, run
)
