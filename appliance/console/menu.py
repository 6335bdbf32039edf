"""The menu on the screen, the serial line and SSH: everything to bring the machine onto a network.

It asks in words and answers in words, so that it works on the plainest terminal. Whatever is
entered is checked before anything changes, and a change of the network takes itself back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from appliance.console.machine import UNDO, Machine
from appliance.console.plan import NetworkPlan, checked
from appliance.console.screen import Facts, screen
from appliance.errors import HoldfastError, LocalError

REFRESH = 10.0
"""Seconds after which the screen is drawn anew while nobody types."""
CLEAR = "\x1b[H\x1b[2J"


class Terminal(Protocol):
    """Where the menu is shown."""

    def write(self, text: str) -> None:
        """Show text."""
        ...

    def read(self, seconds: float | None) -> str | None:
        """Return a line without its end; None after so many seconds. Raises EOFError at the end."""
        ...


@dataclass(frozen=True)
class World:
    """What the menu asks and commands."""

    machine: Machine
    facts: Callable[[], Facts]
    new_password: Callable[[], str]
    """Gives `admin` a new one-time password; raises Unavailable, LocalError."""


class Menu:
    """One session at one terminal."""

    def __init__(self, terminal: Terminal, world: World) -> None:
        self._terminal = terminal
        self._world = world
        self._entries: dict[str, tuple[str, Callable[[], None]]] = {
            "1": ("Network: address, VLAN, DNS, NTP, name", self._network),
            "2": ("New one-time password for admin", self._password),
            "3": ("Ping", self._ping),
            "4": ("Factory reset", self._reset),
            "5": ("Restart", self._restart),
            "6": ("Power off", self._power_off),
        }

    def run(self) -> None:
        """Show the menu until the terminal ends."""
        while True:
            self._draw()
            try:
                chosen = self._terminal.read(REFRESH)
                if chosen is not None:
                    self._do(chosen.strip())
            except EOFError:
                return

    def _draw(self) -> None:
        lines = screen(self._world.facts())
        entries = [f"  {key}) {about}" for key, (about, _) in self._entries.items()]
        self._terminal.write(CLEAR + "\n".join([*lines, *entries]) + "\n\nChoose: ")

    def _do(self, chosen: str) -> None:
        if not chosen:
            return
        _, act = self._entries.get(chosen, ("", self._nothing))
        try:
            act()
        except HoldfastError as error:
            self._say(str(error))
        self._ask("Enter goes on.")

    def _nothing(self) -> None:
        self._say(f"Choose one of {', '.join(self._entries)}.")

    # -- the entries ------------------------------------------------------------------------------

    def _network(self) -> None:
        plan = self._asked_plan(self._world.machine.plan())
        checked(plan)
        self._say(f"In use now, for {UNDO} seconds. It comes back by itself unless you keep it.")
        self._world.machine.try_plan(plan)
        answer = self._terminal_read(f"Type yes within {UNDO} seconds to keep it: ", UNDO - 5)
        if answer is not None and answer.strip().lower() == "yes":
            self._world.machine.keep(plan)
            self._say("Kept.")
        else:
            self._world.machine.undo()
            self._say("Taken back.")

    def _asked_plan(self, now: NetworkPlan) -> NetworkPlan:
        self._say("Enter keeps what stands in brackets; - empties it. Lists are parted by spaces.")
        method = self._value("DHCP or static", now.method).lower()
        fields: dict[str, object] = {"method": method}
        if method == "static":
            fields["addresses"] = self._list("Addresses with prefix", now.addresses)
            fields["gateways"] = self._list("Gateways", now.gateways)
        else:
            fields |= {"addresses": (), "gateways": ()}
        fields["vlan"] = self._number("VLAN, 0 for none", now.vlan)
        fields["dns"] = self._list("Name servers", now.dns)
        fields["ntp"] = self._list("Time servers", now.ntp)
        fields["hostname"] = self._value("Name of this machine", now.hostname)
        fields["interface"] = self._value("Network card, empty for any", now.interface)
        try:
            return msgspec.convert(fields, NetworkPlan)
        except msgspec.ValidationError as error:
            raise LocalError(f"network: {error}") from error

    def _password(self) -> None:
        if self._sure("Whoever is logged in as admin is logged out."):
            self._say(f"Name admin, one-time password {self._world.new_password()}")

    def _ping(self) -> None:
        target = self._ask("Host or address: ").strip()
        if target:
            self._say(self._world.machine.ping(target))

    def _reset(self) -> None:
        self._say("Configuration, call records, recordings, accounts and keys will be gone.")
        if self._ask("Type FACTORY RESET to go on: ").strip() == "FACTORY RESET":
            self._world.machine.reset()
            self._say("Starting again, empty.")

    def _restart(self) -> None:
        if self._sure("Phones are not served meanwhile, about half a minute; calls end."):
            self._world.machine.restart()

    def _power_off(self) -> None:
        if self._sure("Phones are not served until somebody switches it on again; calls end."):
            self._world.machine.power_off()

    # -- asking ------------------------------------------------------------------------------------

    def _sure(self, about: str) -> bool:
        return self._ask(f"{about} Type yes: ").strip().lower() == "yes"

    def _value(self, about: str, now: str) -> str:
        answer = self._ask(f"{about} [{now}]: ").strip()
        return "" if answer == "-" else answer or now

    def _list(self, about: str, now: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._value(about, " ".join(now)).replace(",", " ").split())

    def _number(self, about: str, now: int) -> int:
        text = self._value(about, str(now)) or "0"
        if not text.isdecimal():
            raise LocalError(f"{about}: {text!r} is no number")
        return int(text)

    def _ask(self, text: str) -> str:
        return self._terminal_read(text, None) or ""

    def _terminal_read(self, text: str, seconds: float | None) -> str | None:
        self._terminal.write(text)
        return self._terminal.read(seconds)

    def _say(self, text: str) -> None:
        self._terminal.write(f"{text.rstrip()}\n")
