"""A volatile disk as a block device of this machine, so that the machine's own kernel uses it.

qemu's storage daemon shows what the disk serves as a file (FUSE), and a loop device lies on that
file: a flush of the device is an fsync of the file, which is a flush of the disk.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.system.waiting import until


class BlockDevice:
    """One device; it is gone after `close`, whatever state its disk is in."""

    def __init__(self, folder: Path, disk_socket: Path) -> None:
        self._file, log = folder / "disk.fuse", folder / "device.log"
        self._file.touch()
        served = f"nbd,node-name=disk,server.type=unix,server.path={disk_socket}"
        shown = f"fuse,id=file,node-name=disk,mountpoint={self._file},writable=on"
        words = ["qemu-storage-daemon", "--blockdev", served, "--export", shown]
        with log.open("ab") as said:
            self._daemon = subprocess.Popen(words, stdout=said, stderr=said)
        try:
            until(self._is_shown, 20, "the disk is shown as a file", log.read_text, step=0.01)
            words = ["losetup", "--find", "--show", str(self._file)]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
        except BaseException:
            self._hide()
            raise
        self.path = Path(done.stdout.strip())

    def _is_shown(self) -> bool:
        return f" {self._file} fuse" in Path("/proc/mounts").read_text()

    def _hide(self) -> None:
        subprocess.run(["umount", "--lazy", self._file], capture_output=True)
        self._daemon.kill()
        self._daemon.wait(10)

    def is_free(self) -> bool:
        """Tell whether nobody has it mounted or open any more."""
        return not Path("/sys/block", self.path.name, "loop").exists()

    def close(self) -> None:
        """Take it away; waits until nothing of it is in use."""
        subprocess.run(["losetup", "--detach", self.path], capture_output=True)
        try:
            # The kernel detaches it when the last mount of it has gone.
            until(self.is_free, 20, f"{self.path} is not in use", step=0.01)
        finally:
            self._hide()
