"""The formats that hypervisors take: qcow2, and an OVA of a stream-optimised VMDK with its OVF."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import tarfile
from pathlib import Path

from appliance import __version__
from image.commands import ROOT, BuildError, run, stamp

DISK_GIB = 16
"""What the disk of an imported machine grows to at its first start; the file stays small."""

DRAWN = re.compile(rb"\nCID=[0-9a-f]{1,8}(?=\n)")


def convert(folder: Path, raw: Path) -> list[Path]:
    """Make qcow2 and OVA from the raw disk; returns their files."""
    grown = folder / "grown.raw"
    run("cp", "--sparse=always", raw, grown)
    with grown.open("r+b") as stretched:
        stretched.truncate(DISK_GIB << 30)
    # The backup table belongs to the end of the larger disk.
    run("sfdisk", "--quiet", "--relocate", "gpt-bak-std", grown)
    qcow2, vmdk = folder / "holdfast.qcow2", folder / "holdfast-disk1.vmdk"
    packed = ["-c", "-o", "compression_type=zstd"]
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *packed, grown, qcow2)
    subformat = ["-o", "subformat=streamOptimized,adapter_type=lsilogic"]
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", *subformat, grown, vmdk)
    grown.unlink()
    _identify(vmdk, digest(raw)[:8])
    return [qcow2, _ova(folder, vmdk)]


def _identify(vmdk: Path, identity: str) -> None:
    """Put what follows from the content in the place of the number that qemu drew for it.

    Where the description lies and how long it may be is told at 0x1c of the file, in sectors
    (Virtual Disk Format 1.1, hosted sparse extents). qemu writes the number without leading zeros.
    """
    with vmdk.open("r+b") as disk:
        at, room = (sectors * 512 for sectors in struct.unpack_from("<QQ", disk.read(512), 0x1C))
        disk.seek(at)
        text, found = DRAWN.subn(b"\nCID=" + identity.encode(), disk.read(room).rstrip(b"\0"))
        if found != 1 or len(text) > room:
            raise BuildError(f"{vmdk.name}: its description is not as qemu used to write it")
        disk.seek(at)
        disk.write(text.ljust(room, b"\0"))


def ovf(disk_octets: int) -> str:
    """Return the description of the machine, for a disk file of that size."""
    text = (ROOT / "image" / "holdfast.ovf").read_text()
    values = {"@VERSION@": __version__, "@OCTETS@": str(disk_octets), "@CAPACITY@": str(DISK_GIB)}
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def _ova(folder: Path, vmdk: Path) -> Path:
    """Pack OVF, manifest and disk, in the order that OVF 1.1 (DSP0243, 5) asks for."""
    described = ovf(vmdk.stat().st_size).encode()
    sums = {"holdfast.ovf": hashlib.sha256(described).hexdigest(), vmdk.name: digest(vmdk)}
    manifest = "".join(f"SHA256({name})= {value}\n" for name, value in sums.items()).encode()
    ova = folder / "holdfast.ova"
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("holdfast.ovf", described), ("holdfast.mf", manifest)):
            tar.addfile(_entry(name, len(content)), io.BytesIO(content))
        with vmdk.open("rb") as disk:
            tar.addfile(_entry(vmdk.name, vmdk.stat().st_size), disk)
    vmdk.unlink()
    return ova


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, stamp(), 0o644
    return entry


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def checksums(folder: Path, files: list[Path]) -> None:
    """Write SHA256SUMS, as `sha256sum --check` reads it."""
    lines = [f"{digest(file)}  {file.name}\n" for file in sorted(files)]
    (folder / "SHA256SUMS").write_text("".join(lines))
