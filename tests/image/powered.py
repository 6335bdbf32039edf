"""The image's root on a volatile disk, at a processor's speed: a machine that loses its power.

It starts as the machine does from its initramfs on: the image's own script checks and mounts the
data partition, and then its systemd begins. Kernel and processor are those of this machine.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.image.autopsy import Remains, examine
from tests.image.container import Container
from tests.image.device import BlockDevice
from tests.image.initrd import unpack
from tests.image.virtual import BUILT
from tests.image.volatile import VolatileDisk
from tests.system.network import APPLIANCE, ROUTER, Network
from tests.system.waiting import until

START = Path(__file__).with_name("start_initramfs.sh")
DISK = 1 << 30
"""Octets of the data partition, already grown: not everybody may do that to a mounted one."""
NETWORK = {
    "version": 2,
    "ethernets": {
        "eth0": {"addresses": [f"{APPLIANCE}/24"], "routes": [{"to": "default", "via": ROUTER}]}
    },
}


class Powered(Container):
    """One machine; its disk is new until `start`, and again after `renew`."""

    disk: VolatileDisk | None = None
    stopped = 0.0
    """When its power was last cut, monotonic."""
    cached = 0
    """How many writes the disk's cache had then."""
    _device: BlockDevice | None = None

    def __init__(
        self, folder: Path, network: Network, chance: random.Random, user: dict[str, Any]
    ) -> None:
        """`user` is the user-data of its seed."""
        super().__init__(folder, network.appliance)
        self._folder, self._chance, self._network = folder, chance, network
        self._memory = Path(tempfile.mkdtemp(prefix="holdfast-", dir="/dev/shm"))
        self._initramfs = folder / "initramfs"
        unpack(BUILT / "initrd", self._initramfs)
        for name in ("root", "dev", "proc"):
            (self._initramfs / name).mkdir(exist_ok=True)
        words = ["losetup", "--find", "--show", "--read-only", str(seed(folder, user))]
        shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        self._seed = shown.strip()

    def renew(self) -> None:
        """Put in a new disk, as the image brings it."""
        if self.disk is not None:
            self.disk.close()
        raw = self._folder / "disk.raw"
        subprocess.run(["cp", "--sparse=always", BUILT / "data.img", raw], check=True)
        os.truncate(raw, DISK)
        subprocess.run(["resize2fs", raw], check=True, capture_output=True)
        self.disk = VolatileDisk(raw, self._folder / "disk.socket", self._chance)

    def _beginning(self) -> list[str]:
        assert self._device is not None
        places = [str(self.root), str(self._initramfs), str(self._device.path), self._seed]
        return ["sh", str(START), *places]

    def switch_on(self) -> None:
        """Switch it on; its cable is plugged in."""
        self._device = BlockDevice(self._folder, self._folder / "disk.socket")
        self._network.appliance.run("ip", "link", "set", "eth0", "up")
        super().switch_on()

    def cut(self, after: int = 0) -> None:
        """Take its power away after so many further writes; lose what the disk's cache loses."""
        if self._device is None or self.disk is None:
            return
        self.disk.stop(after)
        self.stopped = self.disk.stopped
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.pids(), 20, "every process is gone", self.pids)
        self._init = 0
        self._process.wait(20)
        super().cut()
        self._device.close()
        self._device = None
        # What the kernel of a machine would have forgotten with it.
        host = self._network.appliance
        host.run("nft", "flush", "ruleset")
        host.run("ip", "link", "set", "eth0", "down")
        host.run("ip", "addr", "flush", "dev", "eth0")
        self.cached = self.disk.cut()

    def remains(self) -> Remains:
        """Look at what is on the disk, without touching it."""
        assert self.disk is not None
        copy = self._memory / "data.copy"
        self.disk.cut_copy(copy, 0, DISK)
        return examine(copy, self._memory / "remains")

    def close(self) -> None:
        """End it; nothing stays on this machine."""
        super().close()
        if self.disk is not None:
            self.disk.close()
        subprocess.run(["losetup", "--detach", self._seed], capture_output=True)
        shutil.rmtree(self._memory)


def seed(folder: Path, user: dict[str, Any]) -> Path:
    """Make a NoCloud disk; not every kernel that tests has the file system that others give it."""
    tree, disk = folder / "seed", folder / "seed.img"
    tree.mkdir()
    (tree / "user-data").write_text("#cloud-config\n" + json.dumps(user))
    (tree / "meta-data").write_text(json.dumps({"instance-id": "power-1"}))
    (tree / "network-config").write_text(json.dumps(NETWORK))
    words = ["mke2fs", "-q", "-t", "ext4", "-L", "CIDATA", "-d", str(tree), str(disk), "8M"]
    subprocess.run(words, check=True, capture_output=True)
    return disk
