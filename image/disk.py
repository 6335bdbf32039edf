"""The disk: partitions, boot loader for BIOS and UEFI, two slots for the root, room for the data.

    1  BIOS boot   GRUB for machines without UEFI
    2  ESP         GRUB for UEFI, its menu, and each slot's kernel in /a and /b
    3  root-a      the root, a squashfs
    4  root-b      empty until the first update
    5  data        the only one that is written to; grown to the disk at the first boot

Everything is written into a plain file: no loop device, no mount, no root.
"""

from __future__ import annotations

import shutil
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from image.commands import ROOT, BuildError, run, say, stamp

SECTOR = 512
MIB = 1 << 20
NAMES = uuid.UUID("6c3b1a52-7c0d-4f6e-9d57-0a8f3f1d2a11")
"""Namespace of the identifiers on the disk: the same each time, so that builds can be compared."""
GRUB = Path("/usr/lib/grub")
SEARCH = "search --no-floppy --set=root --file /grub/holdfast\nset prefix=($root)/grub\n"
"""What GRUB does first: find its menu, whichever disk it is on."""
MODULES = (
    *("biosdisk", "part_gpt", "fat", "normal", "configfile", "linux", "loadenv", "search"),
    *("search_fs_file", "serial", "terminal", "echo", "test", "minicmd", "reboot", "keystatus"),
)
EFI_MODULES = (*(name for name in MODULES if name != "biosdisk"), "efi_gop", "all_video")


@dataclass(frozen=True)
class Partition:
    """One partition, on whole MiB."""

    name: str
    kind: str
    """GUID of its type."""
    size: int
    """MiB."""


ROOT_X86 = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
PARTITIONS = (
    Partition("bios", "21686148-6449-6e6f-744e-656564454649", 1),
    Partition("esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", 255),
    Partition("root-a", ROOT_X86, 512),
    Partition("root-b", ROOT_X86, 512),
    Partition("data", LINUX, 256),
)
SIZE = 1 + sum(partition.size for partition in PARTITIONS) + 1
"""MiB: the tables take the first and the last one."""


def starts() -> Iterator[tuple[Partition, int]]:
    """Yield each partition with its first MiB."""
    at = 1
    for partition in PARTITIONS:
        yield partition, at
        at += partition.size


def build(folder: Path, squashfs: Path, kernel: Path, initrd: Path) -> Path:
    """Write the whole disk into `disk.raw` in `folder` and return it."""
    disk = folder / "holdfast.raw"
    disk.unlink(missing_ok=True)
    with disk.open("wb") as created:
        created.truncate(SIZE * MIB)
    run("sfdisk", "--quiet", disk, text=table())
    core, loader = _grub(folder)
    content = {
        "esp": _esp(folder, loader, kernel, initrd),
        "root-a": squashfs,
        "data": _data(folder),
    }
    for partition, at in starts():
        if partition.name in content:
            _put(disk, content[partition.name], at * MIB, partition)
    _install_bios(disk, core)
    say(f"disk: {SIZE} MiB")
    return disk


def table() -> str:
    """Return the partition table in sfdisk's words."""
    lines = [f"label: gpt\nlabel-id: {uuid.uuid5(NAMES, 'disk')}\nfirst-lba: 2048"]
    for partition, at in starts():
        sectors = f"start={at * MIB // SECTOR}, size={partition.size * MIB // SECTOR}"
        identity = f"type={partition.kind}, uuid={uuid.uuid5(NAMES, partition.name)}"
        lines.append(f'{sectors}, {identity}, name="{partition.name}"')
    return "\n".join(lines) + "\n"


def _put(disk: Path, content: Path, at: int, partition: Partition) -> None:
    """Copy a file to its place; holes stay holes."""
    if content.stat().st_size > partition.size * MIB:
        raise BuildError(f"{content.name} is larger than its partition of {partition.size} MiB")
    with disk.open("r+b") as output, content.open("rb") as source:
        while block := source.read(MIB):
            if block.strip(b"\0"):
                output.seek(at)
                output.write(block)
            at += len(block)


def _grub(folder: Path) -> tuple[Path, Path]:
    """Make GRUB's own image for BIOS and for UEFI; returns both."""
    first = folder / "grub-first.cfg"
    first.write_text(SEARCH)
    core, loader = folder / "core.img", folder / "BOOTX64.EFI"
    made = {"i386-pc": (core, MODULES), "x86_64-efi": (loader, EFI_MODULES)}
    for kind, (target, modules) in made.items():
        words: list[str | Path] = [
            "--format",
            kind,
            "--directory",
            GRUB / kind,
            "--prefix",
            "/grub",
        ]
        run("grub-mkimage", *words, "--config", first, "--output", target, *modules)
    return core, loader


def _esp(folder: Path, loader: Path, kernel: Path, initrd: Path) -> Path:
    esp = folder / "esp.img"
    esp.unlink(missing_ok=True)
    size = next(partition.size for partition in PARTITIONS if partition.name == "esp")
    run(
        "mkfs.vfat",
        "-C",
        "-F",
        "32",
        "-n",
        "ESP",
        "-i",
        "484f4c44",
        "--invariant",
        esp,
        str(size << 10),
    )
    mark = folder / "holdfast-mark"
    mark.write_text("the disk that GRUB looks for\n")
    environment = folder / "grubenv"
    environment.write_text("# GRUB Environment Block\nslot=a\n".ljust(1024, "#"))
    files = {
        "EFI/BOOT/BOOTX64.EFI": loader,
        "grub/grub.cfg": ROOT / "image" / "grub.cfg",
        "grub/grubenv": environment,
        "grub/holdfast": mark,
        "a/vmlinuz": kernel,
        "a/initrd": initrd,
    }
    tree = folder / "esp"
    shutil.rmtree(tree, ignore_errors=True)
    for name, source in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tree / name)
    run("mcopy", "-s", "-i", esp, *sorted(tree.iterdir()), "::/")
    return esp


def _data(folder: Path) -> Path:
    data = folder / "data.img"
    data.unlink(missing_ok=True)
    size = next(partition.size for partition in PARTITIONS if partition.name == "data")
    identity = str(uuid.uuid5(NAMES, "data"))
    # Blocks, inodes and the journal are for the grown file system, not for this small one.
    options = f"lazy_itable_init=1,hash_seed={identity},resize=268435456"
    words = ["-q", "-t", "ext4", "-L", "data", "-U", identity, "-E", options, "-J", "size=32"]
    words += ["-b", "4096", "-i", "16384"]
    run("mke2fs", *words, "-m", "1", data, f"{size}M", extra={"E2FSPROGS_FAKE_TIME": str(stamp())})
    return data


def _install_bios(disk: Path, core: Path) -> None:
    """Write GRUB into the boot record and its partition, with the sectors each part lies in.

    boot.img loads one sector, core.img's first, from the place at 0x5c; that one loads the rest
    from the place at 0x1f4 (grub-core/boot/i386/pc). `grub-bios-setup` would need a block device.
    """
    at = next(at for partition, at in starts() if partition.name == "bios") * MIB // SECTOR
    boot = bytearray((GRUB / "i386-pc" / "boot.img").read_bytes()[:440])
    boot[0x5C:0x64] = struct.pack("<Q", at)
    # The check for a wrong drive number is for floppies; on a hard disk it is left out.
    boot[0x66:0x68] = b"\x90\x90"
    whole = bytearray(core.read_bytes())
    whole[0x1F4:0x1FC] = struct.pack("<Q", at + 1)
    if len(whole) > MIB:
        raise BuildError("GRUB is larger than its partition")
    with disk.open("r+b") as output:
        output.write(boot)
        output.seek(at * SECTOR)
        output.write(whole)
