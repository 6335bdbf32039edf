"""Power cuts of the whole machine in qemu, with its own kernel: what test_power.py cannot show.

The machine's disk has a write cache that each cut loses (tests/image/volatile.py). Twice over: for
each start, the power is taken away and the machine starts again from what is left; and while it
runs, what a cut at that moment would leave is taken aside and looked at, which costs no start.
To be quick it starts the kernel without GRUB and without what has no data.

    HOLDFAST_POWER_BOOTS=20 python -m pytest tests/image/test_power_emulated.py
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.autopsy import examine, partition
from tests.image.caller import Caller, Told
from tests.image.site import NETWORK, PATIENCE, USER, Site
from tests.image.traffic import check, traffic
from tests.image.virtual import BUILT, accelerated, seed, with_drive
from tests.image.volatile import VolatileDisk
from tests.system.site import USERS

CUTS = int(os.environ.get("HOLDFAST_POWER_BOOTS", "1"))
LOOKS = int(os.environ.get("HOLDFAST_POWER_LOOKS", "8"))
"""Cuts of which only the remains are looked at, for each start."""
SEED = int(os.environ.get("HOLDFAST_POWER_SEED", "20"))
DISK_GIB = 3
SETTLED = 2.0
"""Seconds after which what a phone was told is on the disk of an emulated machine."""
LEFT_OUT = (
    *("ssh", "holdfast-ldap", "systemd-timesyncd", "systemd-resolved", "holdfast-console@tty1"),
    *("holdfast-console@ttyS0", "open-vm-tools", "qemu-guest-agent", "vgauth"),
)
"""Services that keep no data, or none that is looked at."""
KERNEL = (
    "root=PARTLABEL=root-a rootfstype=squashfs ro quiet panic=5 fsck.mode=skip net.ifnames=0 "
    "console=ttyS0,115200 systemd.show_status=no "
)


class Plant(Site):
    """A site whose appliance's power is cut."""

    disk: VolatileDisk
    chance: random.Random
    folder: Path
    looked = 0
    busy = 0
    """Cuts that found writes in the disk's cache."""

    def look(self, told: list[Told]) -> None:
        """Look at what a cut at this moment would leave."""
        begin, end = partition(self.disk.file, "data")
        copy = self.folder / "data.copy"
        at = time.monotonic()
        self.busy += self.disk.cut_copy(copy, begin, end) > 0
        check(examine(copy, self.folder / "remains"), told, at, SETTLED)
        self.looked += 1

    def cut(self, told: list[Told]) -> float:
        """Take the power away, and look at what that leaves; returns when that was."""
        at = time.monotonic()
        self.appliance.cut()
        self.busy += self.disk.cut() > 0
        begin, end = partition(self.disk.file, "data")
        copy = self.folder / "data.copy"
        self.disk.cut_copy(copy, begin, end)
        check(examine(copy, self.folder / "remains"), told, at, SETTLED)
        return at

    def callers(self) -> list[Caller]:
        return [Caller(self.account(name)) for name in USERS]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    assert (BUILT / "holdfast.raw").exists(), "run `make image` first"
    folder = tmp_path_factory.mktemp("power")
    raw, line = folder / "disk.raw", folder / "disk.socket"
    subprocess.run(["cp", "--sparse=always", BUILT / "holdfast.raw", raw], check=True)
    with raw.open("r+b") as stretched:
        stretched.truncate(DISK_GIB << 30)
    subprocess.run(["sfdisk", "--quiet", "--relocate", "gpt-bak-std", raw], check=True)
    kvm, chance = accelerated(folder), random.Random(SEED)
    disk = VolatileDisk(raw, line, chance)
    try:
        drive = f"file=nbd+unix:///?socket={line},format=raw"
        with with_drive(folder, 1, kvm, drive) as (network, appliance):
            appliance.seed = seed(folder, USER, NETWORK, "power-1")
            words = KERNEL + " ".join(f"systemd.mask={unit}.service" for unit in LEFT_OUT)
            appliance.direct = ["-kernel", str(BUILT / "vmlinuz")]
            appliance.direct += ["-initrd", str(BUILT / "initrd"), "-append", words]
            made = Plant(network, appliance, kvm)
            made.disk, made.chance, made.folder = disk, chance, folder
            yield made
    finally:
        disk.close()


def test_the_first_start_may_be_cut_at_any_moment(plant: Plant) -> None:
    plant.appliance.start()
    time.sleep(plant.chance.uniform(15, 60))
    plant.appliance.cut()
    plant.disk.cut()
    plant.appliance.start()
    plant.register("101", PATIENCE)


def test_power_cuts_lose_nothing_that_a_phone_was_told(plant: Plant) -> None:
    kept: list[Told] = []
    report = BUILT / "power-cuts-emulated.txt"
    for number in range(CUTS):
        with traffic(plant.callers()) as told:
            for _ in range(LOOKS):
                time.sleep(plant.chance.uniform(0, 2))
                plant.look([*told])
            time.sleep(plant.chance.uniform(0, 2))
            assert len(told) > LOOKS, "the phones are served"
            at = plant.cut([*kept, *told])
        kept += [one for one in told if one.kind == "record" and at - one.at > SETTLED]
        plant.appliance.start()
        took = plant.register("101", PATIENCE)
        how = "KVM" if plant.kvm else "emulated"
        report.write_text(
            f"{number + 2} power cuts, {number + 2} good starts, the last in {took:.0f} s ({how});"
            f" {plant.looked} more looked at without a start; {plant.busy} found writes in the"
            f" disk's cache; {len(kept)} records had to be there at the end and were\n"
        )
    plant.look(kept)
    print(report.read_text())
