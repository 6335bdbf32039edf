"""The image's whole root on this machine's own kernel: its systemd, units, sandboxes and firewall.

Where qemu can only emulate, this shows at a processor's speed what is in the image. Boot loader,
kernel and disk are not in it: test_boot.py and test_power.py have those.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.image.virtual import BUILT
from tests.system.network import APPLIANCE, ROUTER, Host
from tests.system.site import System
from tests.system.waiting import until

START = Path(__file__).with_name("start_root.sh")
MASKED = ("holdfast-console@tty1.service", "holdfast-console@ttyS0.service")
"""They want terminals, and get theirs over SSH here."""
PLAN = {
    "interface": "eth0",
    "method": "static",
    "addresses": [f"{APPLIANCE}/24"],
    "gateways": [ROUTER],
    "hostname": "hq",
}


class Container:
    """One started root; its network is a host's."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.root, self.data = folder / "root", folder / "partition"
        self._host = host
        self._group = _groups() / f"holdfast-{os.getpid()}"
        self._log = folder / "container.log"
        self._init = 0
        squashfs = BUILT / "root.squashfs"
        assert squashfs.exists(), "run `make image` first"
        words = ["unsquashfs", "-quiet", "-no-progress", "-dest", self.root, squashfs]
        subprocess.run(words, check=True, capture_output=True)

    def lay_out(self) -> None:
        """Make the data partition as the initramfs does at the first start."""
        (self.data / "holdfast/firewall.d").mkdir(parents=True)
        (self.data / "ssh").mkdir(mode=0o700)
        subprocess.run(["cp", "-a", self.root / "var", self.data / "var"], check=True)
        (self.data / "machine-id").write_text(os.urandom(16).hex() + "\n")
        (self.data / "holdfast/network.json").write_text(json.dumps(PLAN))

    def own(self, file: Path) -> None:
        """Give a file to the account of Holdfast's processes."""
        lines = (self.root / "etc/passwd").read_text().splitlines()
        found = next(line.split(":") for line in lines if line.startswith("holdfast:"))
        os.chown(file, int(found[2]), int(found[3]))

    def start(self) -> None:
        """Switch it on, and wait until its systemd begins."""
        self.switch_on()
        self._init = until(self._find, 20, "systemd runs", self._log.read_text)

    def _beginning(self) -> list[str]:
        """Return the command whose process becomes the root's systemd."""
        return ["env", f"FOLDER={self.data}", "sh", str(START), str(self.root)]

    def switch_on(self) -> None:
        """Switch it on."""
        self._group.mkdir(exist_ok=True)
        inside = ["unshare", "-m", "-u", "-i", "-p", "-C", "-f", "--kill-child"]
        words = [*inside, *self._beginning()]
        words += [f"systemd.mask={unit}" for unit in MASKED]
        # The group is joined out here: the namespaces in there begin at it.
        joined = f'echo $$ >{self._group}/cgroup.procs; exec ip netns exec {self._host.name} "$@"'
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", joined, "sh", *words], stdout=log, stderr=log
            )

    def _find(self) -> int | None:
        for pid in self.pids():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if words.startswith(b"/usr/lib/systemd/systemd\0"):
                    return pid
        return None

    def pids(self) -> list[int]:
        """Return its processes, as this machine numbers them."""
        shown = subprocess.run(
            ["ip", "netns", "pids", self._host.name], capture_output=True, text=True
        )
        return [int(word) for word in shown.stdout.split()]

    def cut(self) -> None:
        """Take its power away: everything is gone at once."""
        if self._init:
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
            self._process.wait(20)
            self._init = 0
        for folder in sorted(self._group.rglob("*"), reverse=True):
            if folder.is_dir():
                with suppress(OSError):
                    folder.rmdir()

    def close(self) -> None:
        """End it; nothing stays on this machine."""
        self.cut()
        with suppress(OSError):
            self._group.rmdir()
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *words: str, seconds: float = 60, text: str = "") -> str:
        """Run a program inside to its end, as root; returns all that it prints."""
        enter = ["nsenter", "-t", str(self._init), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        done = subprocess.run(
            [*enter, *words],
            capture_output=True,
            text=True,
            timeout=seconds,
            errors="replace",
            input=text,
        )
        return done.stdout + done.stderr

    def memory(self) -> int:
        """Return what all its processes hold, each shared page counted once, octets."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total << 10


class ImageSystem(System):
    """The site of the system tests, with the image's root as its appliance."""

    container: Container

    def _start_appliance(self) -> subprocess.Popen[bytes]:
        self.container = Container(self.folder, self.network.appliance)
        self.container.lay_out()
        access = json.loads((self.cloud_data / "access.json").read_text())
        place = self.container.data / "holdfast"
        shutil.copyfile(access["ca"], place / "cloud-ca.pem")
        settings = {
            "cloud_url": access["url"],
            "cloud_ca": "/etc/holdfast/cloud-ca.pem",
            "cloud_site": access["site"],
            "cloud_token": access["site_token"],
            "cloud_pull_interval": 2.0,
            **self._more,
        }
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        self.settings = place / "holdfast.toml"
        self.settings.write_text("".join(lines))
        self.container.own(self.settings)
        self.data = self.container.data / "var/lib/holdfast"
        self.log = self.folder / "container.log"
        self.container.start()
        return self.container._process

    def holdfast(self, *words: str) -> Any:
        """Give what a command of the CLI tells as JSON, run inside; None while it cannot."""
        shown = self.container.run("/usr/bin/holdfast", *words, "--json")
        with suppress(ValueError):
            return json.loads(shown)
        return None

    def nft(self, *words: str) -> str:
        """Ask the appliance's packet filter by the program that wrote it: others cannot list it."""
        return self.container.run("nft", *words)

    def wait_for_mode(self, mode: str, seconds: float) -> None:
        """Wait until the appliance is in a mode; a whole system starts beneath it here."""
        super().wait_for_mode(mode, max(60, seconds))

    def evidence(self) -> str:
        """Give the end of the journal."""
        return self.container.run("journalctl", "--no-pager", "-n", "80")

    def close(self) -> None:
        """End everything."""
        if hasattr(self, "container"):
            self.container.close()
        super().close()


def _groups() -> Path:
    """Return where this machine's cgroup tree is, of the one version that systemd takes."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise AssertionError("this machine has no cgroup2")


@contextmanager
def image_in_outage(folder: Path, phones: int, **more: Any) -> Iterator[ImageSystem]:
    """Give the image at a site whose cloud has just been cut off, and end it."""
    system = ImageSystem(folder, phones, **more)
    try:
        system.network.cut()
        system.wait_for_mode("survivability", 60)
        yield system
    finally:
        system.close()
