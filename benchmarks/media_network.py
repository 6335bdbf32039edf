"""Two networks of phones and a machine between them, all of its packets on one core.

    left 10.81.0.2 --- 10.81.0.1 middle 10.82.0.1 --- 10.82.0.2 right

What comes to the middle machine is worked off by a kernel thread for each interface, on the
servers' core: so its time is known to the nanosecond, which no process would pay otherwise, and
other work on the machine does not delay it. What reaches a phone is counted and dropped on the
same core, in the name of who sent it: to wake the other core for each packet costs a virtual
machine 2 us, which no network card asks for and who sends packets one by one would pay.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import all_processes

GATHERING, SEGMENTATION = 0x2C, 0x1F
"""ETHTOOL_SGRO and ETHTOOL_STSO of linux/ethtool.h."""
SIDES = ("left", "right")
PHONE = {"left": "10.81.0.2", "right": "10.82.0.2"}
RELAY = {"left": "10.81.0.1", "right": "10.82.0.1"}
_COUNTING = """table netdev bench {
  counter heard { }
  chain ingress {
    type filter hook ingress device eth0 priority 0;
    meta protocol ip ip protocol udp counter name heard drop
  }
}
"""


@dataclass(frozen=True)
class Place:
    """One network namespace."""

    name: str

    def run(self, *words: str, text: str | None = None) -> str:
        """Run a command in it to its end; returns what it printed."""
        command = ["ip", "netns", "exec", self.name, *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        return done.stdout

    @property
    def path(self) -> str:
        """Its file."""
        return f"/run/netns/{self.name}"

    def set_up(self, interface: str) -> None:
        """Let a thread of its own work off what comes in by an interface of the middle."""
        self.run(sys.executable, "-m", "benchmarks.media_network", interface)

    def mac(self, interface: str) -> str:
        """Return an interface's hardware address."""
        return self.run("cat", f"/sys/class/net/{interface}/address").strip()

    def heard(self) -> int:
        """Return how many packets have arrived."""
        shown = json.loads(self.run("nft", "-j", "list", "counters", "netdev"))["nftables"]
        return sum(one["counter"]["packets"] for one in shown if "counter" in one)


@dataclass(frozen=True)
class MediaNetwork:
    """The three of them."""

    left: Place
    middle: Place
    right: Place

    @property
    def ends(self) -> dict[str, Place]:
        """Both sides' phones."""
        return {"left": self.left, "right": self.right}

    def heard(self) -> int:
        """Return how many packets both sides have got."""
        return self.left.heard() + self.right.heard()


@contextmanager
def media_network() -> Iterator[MediaNetwork]:
    """Build it and take it away again."""
    made = MediaNetwork(
        *(Place(f"hfb{os.getpid()}-{name}") for name in ("left", "middle", "right"))
    )
    try:
        for place in (made.left, made.middle, made.right):
            _ip("netns", "add", place.name)
            place.run("ip", "link", "set", "lo", "up")
        for side, place in made.ends.items():
            _join(made.middle, side, place)
        yield made
    finally:
        for place in (made.left, made.middle, made.right):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", place.name)


def _join(middle: Place, side: str, place: Place) -> None:
    ends = ["type", "veth", "peer", "name", "eth0", "netns", place.name]
    middle.run("ip", "link", "add", side, *ends)
    for where, interface, address in (
        (middle, side, RELAY[side]),
        (place, "eth0", PHONE[side]),
    ):
        where.run("ip", "addr", "add", f"{address}/24", "dev", interface)
        where.run("ip", "link", "set", interface, "up")
    middle.set_up(side)
    place.set_up("eth0")
    # Known beforehand: a first packet that waits for ARP is no matter of relays.
    neighbour = [PHONE[side], "lladdr", place.mac("eth0"), "dev", side]
    middle.run("ip", "neigh", "replace", *neighbour)
    place.run("nft", "-f", "-", text=_COUNTING)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def threads() -> list[int]:
    """Give the kernel threads that receive for the middle machine."""
    return [pid for pid in all_processes() if _command(pid) in ("napi/left", "napi/right")]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().rpartition("-")[0]
    except OSError:
        return ""


def _set_up(interface: str) -> None:
    """Prepare an interface of this namespace; must run as a process in it.

    The kernel has a receive queue behind a veth, and so a thread for it, where the receiver gathers
    packets (GRO) and the sender does not cut them up (TSO).
    """
    if interface == "eth0":
        _offload(interface, SEGMENTATION, False)
    else:
        _offload(interface, GATHERING, True)
        Path(f"/sys/class/net/{interface}/threaded").write_text("1")


def _offload(interface: str, what: int, on: bool) -> None:
    values = array.array("B", struct.pack("=II", what, on))
    address, _ = values.buffer_info()
    request = struct.pack("16sP16x", interface.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, 0x8946, request)


if __name__ == "__main__":
    _set_up(sys.argv[1])
