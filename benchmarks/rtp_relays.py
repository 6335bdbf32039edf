"""What carries RTP under measurement: plain forwarding, both relays of Holdfast, rtpengine."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.call.actions import Relay, RelaySide
from benchmarks.media_network import PHONE, RELAY, MediaNetwork
from benchmarks.media_relay import Control
from benchmarks.process import FILES, SERVER_CORE, wait_until

Stream = tuple[int, str, int, str, int]
"""Side (0: left), source and its port, target and its port."""
PHONE_PORT = 3000
"""Of the first call's phones; each call has the next."""
_libc = ctypes.CDLL(None, use_errno=True)
REAL_TIME = ["chrt", "--fifo", "1"]
"""So that other work on the machine delays no server; all of them have it. Where that takes nearly
all of a core, the kernel keeps 50 ms of each second for the others: then no server holds."""


class Plain:
    """Phones that send to each other's address, and a machine between that only routes."""

    name = "plain forwarding"

    def __init__(self, network: MediaNetwork, calls: int) -> None:
        network.middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        left, right = PHONE["left"], PHONE["right"]
        ports = range(PHONE_PORT, PHONE_PORT + calls)
        self.streams: list[Stream] = []
        for port in ports:
            self.streams += [(0, left, port, right, port), (1, right, port, left, port)]
        self.pids: list[int] = []

    def stop(self) -> None:
        """Nothing runs."""


class Holdfast:
    """`holdfast media`, by kernel or by user space."""

    name = "Holdfast"
    kernel = "required"
    shortcut = "auto"

    def __init__(self, network: MediaNetwork, calls: int) -> None:
        self._folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"holdfast-bench-{os.getpid()}"
        self._folder.mkdir(exist_ok=True)
        settings = self._folder / "holdfast.toml"
        values = {"run": self._folder, "media_kernel": self.kernel, "media_shortcut": self.shortcut}
        settings.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
        program = str(Path(sys.executable).with_name("holdfast"))
        words = [program, "--settings", str(settings), "media"]
        self._process = _start(network, words)
        path = self._folder / "media.sock"
        if not wait_until(path.exists, 20):
            raise SystemExit("holdfast media does not start")
        control = Control(str(path))
        wanted = [_relay(number) for number in range(calls)]
        for at in range(0, calls, 200):
            control.ask("media.put", relays=wanted[at : at + 200])
        if self.kernel == "required":
            wait_until(lambda: _elements(network) == 4 * calls, 20, 0.2)
        elif control.stats().relays != calls:
            raise SystemExit("not all relays could be opened")
        self.streams: list[Stream] = []
        for number in range(calls):
            port, ours = PHONE_PORT + number, 20000 + 4 * number
            self.streams.append((0, PHONE["left"], port, RELAY["left"], ours))
            self.streams.append((1, PHONE["right"], port, RELAY["right"], ours + 2))
        self.pids = [self._process.pid]
        self._control = control

    def stop(self) -> None:
        """End it with all of its calls."""
        self._control.ask("media.resync", relays=[])
        _end(self._process)
        for file in self._folder.iterdir():
            file.unlink()
        self._folder.rmdir()


class KernelRelay(Holdfast):
    """Holdfast's relay in nftables, with the short cut beside it."""

    name = "Holdfast, kernel relay"


class Rules(Holdfast):
    """Holdfast's relay in nftables alone."""

    name = "Holdfast, nftables alone"
    shortcut = "off"


class UserSpaceRelay(Holdfast):
    """Holdfast's relay in Python."""

    name = "Holdfast, user-space relay"
    kernel = "off"


class Rtpengine:
    """Debian's rtpengine without its kernel module, one worker thread."""

    name = "rtpengine, user space"

    def __init__(self, network: MediaNetwork, calls: int) -> None:
        words = ["rtpengine", "--foreground", "--table=-1", "--num-threads=1", "--log-level=2"]
        words += [f"--interface=left/{RELAY['left']}", f"--interface=right/{RELAY['right']}"]
        words += ["--listen-ng=127.0.0.1:2223", "--port-min=20000", "--port-max=64000"]
        words += ["--timeout=600", "--log-stderr", "--config-file=none"]
        self._process = _start(network, words)
        self._asked = 0
        with _inside(network.middle.path):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", 2223))
        self._socket.settimeout(1)
        if not wait_until(self._answers, 20):
            raise SystemExit("rtpengine does not start")
        self.streams: list[Stream] = []
        for number in range(calls):
            self.streams += self._call(number)
        self.pids = [self._process.pid]

    def stop(self) -> None:
        """End it."""
        self._socket.close()
        _end(self._process)

    def _answers(self) -> bool:
        try:
            return b"pong" in self._ask({"command": "ping"})
        except OSError:
            return False

    def _call(self, number: int) -> list[Stream]:
        port = PHONE_PORT + number
        call = {"call-id": f"call{number}", "from-tag": "a", "ICE": "remove"}
        sides = {"direction": ["left", "right"]}
        offer = self._ask({"command": "offer", "sdp": _sdp("left", port), **call, **sides})
        answered = {"command": "answer", "sdp": _sdp("right", port), "to-tag": "b"}
        answer = self._ask({**answered, **call})
        return [
            (0, PHONE["left"], port, RELAY["left"], _port_in(answer)),
            (1, PHONE["right"], port, RELAY["right"], _port_in(offer)),
        ]

    def _ask(self, what: dict[str, object]) -> bytes:
        self._asked += 1
        self._socket.send(b"%d " % self._asked + _bencode(what))
        return self._socket.recv(65536)


Relaying = Plain | Holdfast | Rtpengine
KINDS: list[type[Plain] | type[Holdfast] | type[Rtpengine]] = [
    Plain,
    KernelRelay,
    Rules,
    UserSpaceRelay,
    Rtpengine,
]


def _relay(number: int) -> Relay:
    port, ours = PHONE_PORT + number, 20000 + 4 * number
    left = RelaySide((RELAY["left"], ours), (PHONE["left"], port))
    return Relay(
        f"{number}/0", 1, left, RelaySide((RELAY["right"], ours + 2), (PHONE["right"], port))
    )


def _elements(network: MediaNetwork) -> int:
    try:
        shown = network.middle.run("nft", "list", "map", "inet", "holdfast_media", "flows4")
    except subprocess.CalledProcessError:
        return 0
    return shown.count("comment")


def _start(network: MediaNetwork, words: list[str]) -> subprocess.Popen[bytes]:
    limits = ["prlimit", f"--nofile={FILES}", "taskset", "-c", str(SERVER_CORE), *REAL_TIME]
    inside = ["ip", "netns", "exec", network.middle.name]
    return subprocess.Popen(
        [*inside, *limits, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextmanager
def _inside(path: str) -> Iterator[None]:
    """Open sockets in another network namespace."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(own)
        os.close(own)
        os.close(there)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, 0x40000000):  # CLONE_NEWNET; os.setns is there from Python 3.12 on.
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def _sdp(side: str, port: int) -> str:
    host = PHONE[side]
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    return "\r\n".join([*lines, f"m=audio {port} RTP/AVP 0", "a=sendrecv", ""])


def _port_in(answer: bytes) -> int:
    return int(answer.partition(b"m=audio ")[2].split()[0])


def _bencode(value: object) -> bytes:
    if isinstance(value, dict):
        return (
            b"d"
            + b"".join(_bencode(part) for pair in sorted(value.items()) for part in pair)
            + b"e"
        )
    if isinstance(value, list):
        return b"l" + b"".join(_bencode(part) for part in value) + b"e"
    data = str(value).encode()
    return b"%d:%s" % (len(data), data)
