"""The built image in qemu, on the site's network, with its console on a socket.

KVM is used where a guest gets going under it; elsewhere qemu emulates, which is told.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.system.network import Host, Network

ROOT = Path(__file__).parent.parent.parent
BUILT = ROOT / "var" / "image"
ADDRESS = "10.77.0.3"
MEMORY = 768
KVM = ["-accel", "kvm", "-cpu", "host,arch-capabilities=off"]
EMULATED = ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "Nehalem"]
"""An old processor: to emulate what newer ones add takes longer than to do without."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


def accelerated(folder: Path) -> bool:
    """Tell whether the image begins to boot under KVM; some hosts offer it and cannot do it.

    A processor without vmx or svm has a KVM that takes only kernels made for it, and interprets
    others more slowly than qemu emulates them.
    """
    flags = re.search(r"^flags.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    if not Path("/dev/kvm").exists() or not flags or not {"vmx", "svm"} & set(flags[0].split()):
        return False
    log = folder / "kvm.serial"
    words = ["qemu-system-x86_64", *KVM, "-m", "512", "-display", "none", "-monitor", "none"]
    words += ["-drive", f"file={BUILT / 'holdfast.raw'},format=raw,if=virtio,snapshot=on"]
    probe = subprocess.Popen(
        [*words, "-serial", f"file:{log}", "-no-reboot"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and probe.poll() is None:
            if log.exists() and "Booting" in log.read_text(errors="replace"):
                return True
            time.sleep(0.2)
        return False
    finally:
        probe.kill()
        probe.wait()


def seed(folder: Path, user: dict[str, Any], network: dict[str, Any], instance: str) -> Path:
    """Make a NoCloud disk; JSON is YAML as well."""
    tree = folder / "seed"
    tree.mkdir(exist_ok=True)
    (tree / "user-data").write_text("#cloud-config\n" + json.dumps(user))
    (tree / "meta-data").write_text(json.dumps({"instance-id": instance}))
    (tree / "network-config").write_text(json.dumps(network))
    disk = folder / "seed.img"
    disk.unlink(missing_ok=True)
    subprocess.run(
        ["mkfs.vfat", "-C", "-n", "CIDATA", disk, "8192"], check=True, capture_output=True
    )
    files = sorted(tree.iterdir())
    subprocess.run(["mcopy", "-i", disk, *files, "::/"], check=True, capture_output=True)
    return disk


class Appliance:
    """One virtual machine on the bridge of the site's router."""

    def __init__(self, folder: Path, network: Network, drive: str, kvm: bool) -> None:
        """`drive` is the disk, as qemu's `-drive` has it."""
        self._folder = folder
        self._router: Host = network.router
        self._drive = drive
        self.processor = KVM if kvm else EMULATED
        self._machine: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self.seed: Path | None = None
        self.uefi = False
        self.direct: list[str] = []
        """Words for qemu that start the kernel without a boot loader."""
        self.shown = ""
        """What the serial console has shown since the start."""
        self._router.run("ip", "tuntap", "add", "vm", "mode", "tap")
        self._router.run("ip", "link", "set", "vm", "master", "lan")
        self._router.run("ip", "link", "set", "vm", "up")

    def start(self) -> None:
        """Switch it on."""
        line = self._folder / "serial"
        line.unlink(missing_ok=True)
        words = ["qemu-system-x86_64", *self.processor, "-m", str(MEMORY), "-smp", "2"]
        words += ["-display", "none", "-monitor", "none", "-no-user-config"]
        words += ["-drive", f"{self._drive},if=virtio,cache=writeback"]
        if self.seed is not None:
            words += ["-drive", f"file={self.seed},format=raw,if=virtio,readonly=on"]
        words += ["-netdev", "tap,id=n,ifname=vm,script=no,downscript=no"]
        words += ["-device", "virtio-net-pci,netdev=n,mac=52:54:00:77:00:03"]
        words += ["-serial", f"unix:{line},server=on,wait=off"]
        words += [*self._firmware(), *self.direct]
        self._machine = self._router.start(*words, log=self._folder / "qemu.log")
        deadline = time.monotonic() + 10
        while not line.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(line))
        self.shown = ""

    def _firmware(self) -> list[str]:
        if not self.uefi:
            return []
        variables = self._folder / "variables.fd"
        shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
        code = "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"
        kept = f"if=pflash,format=raw,unit=1,file={variables}"
        return ["-machine", "q35", "-drive", code, "-drive", kept]

    def cut(self) -> None:
        """Take its power away."""
        if self._machine is not None:
            self._machine.kill()
            self._machine.wait(10)
        if self._line is not None:
            self._line.close()
        self._machine = self._line = None

    def ended(self, seconds: float) -> bool:
        """Tell whether it switched itself off in time."""
        assert self._machine is not None
        with suppress(subprocess.TimeoutExpired):
            self._machine.wait(seconds)
        return self._machine.poll() is not None

    def type(self, text: str) -> None:
        """Type at the serial console."""
        assert self._line is not None
        self._line.sendall(text.encode())

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the serial console shows something new; AssertionError with what it shows."""
        assert self._line is not None
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, f"not within {seconds:g} s: {text!r} in {self.shown[-3000:]}"
            self._line.settimeout(min(left, 1.0))
            with suppress(TimeoutError):
                data = self._line.recv(65536)
                assert data, f"the machine ended: {self.shown[-3000:]}"
                self.shown += ESCAPES.sub("", data.decode(errors="replace")).replace("\r", "")

    def forget(self) -> None:
        """Wait for what is shown from now on."""
        self.shown = ""


@contextmanager
def on_the_network(folder: Path, phones: int, kvm: bool) -> Iterator[tuple[Network, Appliance]]:
    """Give a site whose appliance is the built image; nothing is started yet."""
    disk = folder / "disk.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]
    subprocess.run([*words, BUILT / "holdfast.qcow2", disk], check=True)
    with with_drive(folder, phones, kvm, f"file={disk}") as made:
        yield made


@contextmanager
def with_drive(
    folder: Path, phones: int, kvm: bool, drive: str
) -> Iterator[tuple[Network, Appliance]]:
    """Give a site whose appliance starts from that disk."""
    network = Network(phones)
    appliance = Appliance(folder, network, drive, kvm)
    try:
        yield network, appliance
    finally:
        appliance.cut()
        network.close()
