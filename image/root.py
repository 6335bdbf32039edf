"""The read-only root of the appliance: Debian 13 with Holdfast's package, as one squashfs file.

Debian comes from where this machine gets its own packages; nothing here names a place. No
step needs root: mmdebstrap uses a user namespace where it has no other way.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from pathlib import Path

from image.commands import ROOT, BuildError, run, say, stamp
from image.sources import RELEASE, debian_sources

PACKAGES = (
    *("systemd-sysv", "systemd-resolved", "systemd-repart", "udev", "dbus", "kmod", "zstd"),
    *("linux-image-amd64", "initramfs-tools", "busybox", "e2fsprogs", "util-linux", "passwd"),
    *("python3", "python3-yaml", "nftables", "iproute2", "iputils-ping", "openssh-server"),
    *("systemd-timesyncd", "ca-certificates", "tzdata", "qemu-guest-agent", "open-vm-tools"),
    *("hyperv-daemons", "slapd", "python3-scapy"),
)
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
FETCHING = re.compile(r'^Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy\S*) ".*";$')
"""What this machine's apt needs to fetch at all, and the build therefore too."""


def build(folder: Path, package: Path) -> Path:
    """Build `root.tar` and from it `root.squashfs` in `folder`; return the latter."""
    overlay, sources, tar = (folder / name for name in ("overlay.tar", "sources.list", "root.tar"))
    _write_overlay(overlay)
    sources.write_text(debian_sources())
    say(f"Debian {RELEASE}: {len(PACKAGES)} packages and what they need")
    run(
        *("mmdebstrap", "--variant=essential", "--format=tar"),
        *(word for path in EXCLUDED for word in ("--dpkgopt", f"path-exclude={path}")),
        *("--dpkgopt", "path-include=/usr/share/doc/*/copyright"),
        *(word for option in fetching() for word in ("--aptopt", option)),
        f'--essential-hook=chroot "$1" debconf-set-selections < {ROOT}/image/answers',
        f"--include={','.join(PACKAGES)}",
        f"--customize-hook=tar-in {overlay} /",
        f"--customize-hook=upload {package} /tmp/holdfast.deb",
        f'--customize-hook=chroot "$1" sh < {ROOT}/image/customize.sh',
        *(RELEASE, tar, sources),
    )
    squashfs = folder / "root.squashfs"
    squashfs.unlink(missing_ok=True)
    _squash(tar, squashfs)
    say(f"root: {squashfs.stat().st_size >> 20} MiB")
    return squashfs


def fetching() -> list[str]:
    """Return what apt on this machine is told of how to fetch, as options of its own."""
    return [
        line.rstrip(";") for line in run("apt-config", "dump").splitlines() if FETCHING.match(line)
    ]


def _write_overlay(file: Path) -> None:
    """Pack `image/files` as it must lie in the root: owned by root, with the one time."""
    base = ROOT / "image" / "files"
    with tarfile.open(file, "w") as tar:
        for place in sorted(base.rglob("*")):
            entry = tar.gettarinfo(place, str(place.relative_to(base)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = stamp()
            executable = entry.isdir() or entry.mode & 0o100
            entry.mode = 0o755 if executable else 0o644
            content = place.read_bytes() if entry.isfile() else b""
            tar.addfile(entry, io.BytesIO(content))


def _squash(tar: Path, squashfs: Path) -> None:
    options = ["-tar", "-comp", "zstd", "-Xcompression-level", "15", "-b", "256K", "-no-progress"]
    # The archive does not name its top, and what is taken for it would be open to all: sshd then
    # refuses every key. Its time is the one of the environment.
    top = ["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"]
    script = 'exec mksquashfs - "$@" < "$0"'
    run("sh", "-c", script, tar, squashfs, *options, *top, "-quiet", "-no-xattrs")


def extract(folder: Path, names: dict[str, str]) -> dict[str, Path]:
    """Take single files out of `root.tar`; returns where they are now, by the given key."""
    found = {}
    with tarfile.open(folder / "root.tar") as tar:
        for key, name in names.items():
            member = tar.extractfile(f"./{name}")
            if member is None:
                raise BuildError(f"the root has no {name}")
            target = folder / key
            with target.open("wb") as output:
                shutil.copyfileobj(member, output)
            found[key] = target
    return found
