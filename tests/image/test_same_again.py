"""The same input gives the same disk in every format, octet for octet."""

from __future__ import annotations

from pathlib import Path

from image import disk
from image.formats import convert, digest
from image.root import extract
from tests.image.virtual import BUILT


def build(folder: Path) -> dict[str, str]:
    """Build the disk from the root that is there; returns the sums of its parts."""
    folder.mkdir()
    (folder / "root.tar").symlink_to(BUILT / "root.tar")
    boot = extract(folder, {"vmlinuz": "boot/vmlinuz", "initrd": "boot/initrd"})
    raw = disk.build(folder, BUILT / "root.squashfs", boot["vmlinuz"], boot["initrd"])
    parts = [raw, folder / "esp.img", folder / "data.img", folder / "core.img"]
    return {part.name: digest(part) for part in parts}


def test_a_disk_is_the_same_each_time(tmp_path: Path) -> None:
    first = build(tmp_path / "first")
    assert build(tmp_path / "second") == first
    assert first["holdfast.raw"] == digest(BUILT / "holdfast.raw")


def test_what_hypervisors_take_is_the_same_each_time(tmp_path: Path) -> None:
    for made in convert(tmp_path, BUILT / "holdfast.raw"):
        assert digest(made) == digest(BUILT / made.name)
