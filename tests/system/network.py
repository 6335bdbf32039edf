"""A small internet in network namespaces: a site behind a router, and a cloud behind it.

    phone 1 ... phone n, appliance --- (bridge) router --- cloud
    10.77.0.11 ...       10.77.0.2     10.77.0.1
    fd77::11 ...         fd77::2       10.78.0.1           10.78.0.2

What runs inside reaches nothing outside; all of it ends with the network.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

APPLIANCE = "10.77.0.2"
APPLIANCE_6 = "fd77::2"
CLOUD = "10.78.0.2"
ROUTER = "10.77.0.1"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """One namespace with an address and the processes started in it."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str, text: str | None = None) -> str:
        """Run a command to its end and give what it printed; fails the test where it fails."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *words],
            capture_output=True,
            text=True,
            input=text,
            timeout=60,
            env=_environment(),
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def start(
        self,
        *words: str,
        log: Path,
        environment: dict[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a process here, its output in `log`; it ends with the host."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**_environment(), **(environment or {})},
                start_new_session=True,
                pass_fds=descriptors,
            )
        self._processes.append(process)
        return process

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make the sockets opened within this block belong to this host."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(own)
            os.close(own)
            os.close(there)

    def end(self) -> None:
        """End everything that runs here: what we started, and what that started."""
        for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            deadline = time.monotonic() + patience
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self._pids() and time.monotonic() < deadline:
                for process in self._processes:
                    process.poll()
                time.sleep(0.02)
        for process in self._processes:
            process.wait(5)

    def _pids(self) -> list[int]:
        shown = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        return [int(word) for word in shown.stdout.split()]


def _environment() -> dict[str, str]:
    """Give ours, but for what keeps tests elsewhere out of the kernel's packet filter."""
    return {key: text for key, text in os.environ.items() if key != "HOLDFAST_MEDIA_KERNEL"}


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


class Network:
    """The whole picture above; `close` leaves nothing behind."""

    def __init__(self, phones: int) -> None:
        prefix = f"hf{os.getpid()}"
        self.router = Host(f"{prefix}-router", ROUTER)
        self.appliance = Host(f"{prefix}-appliance", APPLIANCE)
        self.cloud = Host(f"{prefix}-cloud", CLOUD)
        self.phones = [Host(f"{prefix}-phone{n}", f"10.77.0.{11 + n}") for n in range(phones)]
        self.hosts = [self.router, self.appliance, self.cloud, *self.phones]
        atexit.register(self.close)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for host in self.hosts:
            _ip("netns", "add", host.name)
            host.run("ip", "link", "set", "lo", "up")
            # A namespace takes this from the machine, which may be somebody's router.
            host.run("tee", "/proc/sys/net/ipv4/ip_forward", text="0")
        self.router.run("ip", "link", "add", "lan", "type", "bridge")
        self.router.run("ip", "addr", "add", f"{ROUTER}/24", "dev", "lan")
        self.router.run("ip", "-6", "addr", "add", "fd77::1/64", "dev", "lan", "nodad")
        self.router.run("ip", "link", "set", "lan", "up")
        for number, host in enumerate([self.appliance, *self.phones]):
            self._plug(host, f"port{number}", bridged=True)
            last = host.address.rpartition(".")[2]
            host.run("ip", "-6", "addr", "add", f"fd77::{last}/64", "dev", "eth0", "nodad")
        self._plug(self.cloud, "wan", bridged=False)
        self.router.run("ip", "addr", "add", "10.78.0.1/24", "dev", "wan")
        self.router.run("tee", "/proc/sys/net/ipv4/ip_forward", text="1")

    def _plug(self, host: Host, port: str, bridged: bool) -> None:
        ends = ["type", "veth", "peer", "name", "eth0", "netns", host.name]
        self.router.run("ip", "link", "add", port, *ends)
        if bridged:
            self.router.run("ip", "link", "set", port, "master", "lan")
        self.router.run("ip", "link", "set", port, "up")
        host.run("ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        gateway = ROUTER if bridged else "10.78.0.1"
        host.run("ip", "route", "add", "default", "via", gateway)

    def cut(self, *ports: int, verdict: str = "drop") -> None:
        """Let nothing pass between site and cloud, or nothing on these ports of the cloud."""
        self.heal()
        match = f"th dport {{ {', '.join(map(str, ports))} }} " if ports else ""
        # Named by interface: what is bridged within the site passes this hook as well, where the
        # kernel hands bridged packets to the firewall.
        both = ['oifname "wan"'] if ports else ['oifname "wan"', 'iifname "wan"']
        reject = ["meta l4proto tcp", "reject with tcp reset"] if verdict == "reject" else None
        rules = [f"{way} {reject[0]} {match}{reject[1]}" for way in both if reject]
        rules += [f"{way} meta l4proto {{ tcp, udp }} {match}{verdict}" for way in both]
        body = "".join(f"    {rule}\n" for rule in rules)
        hook = "type filter hook forward priority 0; policy accept;"
        table = f"table ip outage {{\n  chain forward {{\n    {hook}\n{body}  }}\n}}\n"
        self.router.run("nft", "-f", "-", text=table)

    def heal(self) -> None:
        """Let everything pass again."""
        self.router.run("nft", "-f", "-", text="table ip outage {}\ndelete table ip outage\n")

    def close(self) -> None:
        """End all processes and remove all namespaces."""
        atexit.unregister(self.close)
        for host in reversed(self.hosts):
            with suppress(Exception):
                host.end()
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
