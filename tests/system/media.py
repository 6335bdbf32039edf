"""`holdfast media` alone on a host, with the test in core's place, and phones that send RTP."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from appliance.call.actions import Relay, RelaySide
from appliance.call.events import MediaEvent, RelayEnded
from appliance.ipc import Frames, Message, encode
from appliance.media.commands import Stats, read_event
from tests.system.keeper import Keeper
from tests.system.network import Host
from tests.system.site import HOLDFAST
from tests.system.waiting import until

Address = tuple[str, int]


def rtp(sequence: int, size: int = 160) -> bytes:
    """Make a G.711 packet."""
    head = bytes((0x80, 0)) + (sequence & 0xFFFF).to_bytes(2, "big")
    return head + (sequence * 160 & 0xFFFFFFFF).to_bytes(4, "big") + b"ssrc" + b"\xd5" * size


RTCP = bytes.fromhex("80c90001 00000001")
"""An empty receiver report."""


class Media:
    """A media process and the connection by which core would command it."""

    def __init__(
        self, host: Host, folder: Path, keeper: Keeper | None = None, **settings: str
    ) -> None:
        """Start it; `keeper` holds in systemd's place what it leaves when it ends."""
        self.host = host
        self._keeper = keeper
        self.run = folder / "run"
        self.log = folder / "media.log"
        self._settings = folder / "holdfast.toml"
        values = {"data": str(folder), "run": str(self.run), **settings}
        self._settings.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
        self.events: list[MediaEvent] = []
        self.start()

    def start(self, *words: str) -> None:
        """Start it, by `words` before its command, and connect."""
        command = [*words, HOLDFAST, "--settings", str(self._settings), "media"]
        environment: dict[str, str] = {}
        kept: list[int] = []
        if self._keeper is not None:
            kept, environment = self._keeper.descriptors, self._keeper.environment
            command = self._keeper.command(*command)
        self.process: subprocess.Popen[bytes] = self.host.start(
            *command, log=self.log, environment=environment, descriptors=kept
        )
        until(self._connect, 20, "media takes commands", lambda: self.log.read_text())

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with a signal and wait for it."""
        self.process.send_signal(number)
        self.process.wait(20)
        self._stream.close()

    def put(self, *relays: Relay) -> None:
        """Let these relays be."""
        self.ask("media.put", relays=relays)

    def resync(self, *relays: Relay) -> None:
        """Let these relays be and no others."""
        self.ask("media.resync", relays=relays)

    def drop(self, *keys: str) -> list[RelayEnded]:
        """End relays; returns how they ended, in this order."""
        self.ask("media.drop", keys=keys)
        ended = [event for event in self.events if isinstance(event, RelayEnded)]
        return [next(event for event in ended if event.key == key) for key in keys]

    @property
    def stats(self) -> Stats:
        """What it says of itself."""
        return msgspec.convert(self.ask("media.stats"), Stats)

    def ask(self, do: str, **arguments: Sequence[object]) -> Any:
        """Command it and wait until it is done; events that come meanwhile are kept."""
        self._stream.sendall(encode(Message(id=1, do=do, arguments=arguments)))
        while True:
            for message in self._frames.feed(self._stream.recv(1 << 16)):
                if message.event:
                    self.events.append(read_event(message))
                elif message.id == 1:
                    assert message.error is None, message.error
                    return message.ok

    def elements(self) -> str:
        """Give what the kernel has of flows, as nft shows it."""
        with contextlib.suppress(RuntimeError):
            shown = [
                self.host.run("nft", "list", "map", "inet", "holdfast_media", f"flows{version}")
                for version in (4, 6)
            ]
            return "\n".join(shown)
        return ""

    def flows(self) -> int:
        """Give how many flows are in the kernel."""
        return self.elements().count("comment")

    def wait_for_flows(self, count: int) -> None:
        """Wait until so many flows are in the kernel."""
        until(lambda: self.flows() == count, 10, f"{count} flows", self.evidence)

    def evidence(self) -> str:
        """Give what to show when a test fails."""
        return f"{self.log.read_text()}\n{self.elements()}"

    def _connect(self) -> bool:
        self._frames = Frames()
        self._stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stream.settimeout(20)
        with contextlib.suppress(OSError):
            self._stream.connect(str(self.run / "media.sock"))
            return True
        self._stream.close()
        return False


class Phone:
    """Two sockets on a host: RTP and RTCP."""

    def __init__(self, host: Host, address: str, port: int = 4000) -> None:
        self.address: Address = (address, port)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with host.inside():
            self.rtp, self.rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        for number, one in enumerate((self.rtp, self.rtcp)):
            one.bind((address, port + number))
            one.settimeout(3)

    def hears(self, packet: bytes, rtcp: bool = False) -> Address:
        """Receive the next packet, which must be this; returns its source."""
        got, source = (self.rtcp if rtcp else self.rtp).recvfrom(4096)
        assert got == packet
        return str(source[0]), int(source[1])

    def hears_nothing(self, seconds: float = 0.2) -> bool:
        """Tell whether no packet comes for a while."""
        self.rtp.settimeout(seconds)
        try:
            self.rtp.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.rtp.settimeout(3)
        return False

    def close(self) -> None:
        """Close both."""
        self.rtp.close()
        self.rtcp.close()


def relay_between(
    a: Phone, local_a: Address, b: Phone, local_b: Address, key: str = "call/0"
) -> Relay:
    """Make a relay between two phones, each talking to its own port of ours."""
    return Relay(key, 1, RelaySide(local_a, a.address), RelaySide(local_b, b.address))
