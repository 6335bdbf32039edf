"""A clean Debian 13 in a folder, in which nothing of ours has ever been."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image.commands import run
from image.root import fetching
from image.sources import RELEASE, debian_sources

TAR = Path(__file__).parent.parent.parent / "var" / "test" / "clean-root.tar"
"""Made once; each test unpacks its own."""
PACKAGES = "systemd,nftables,python3,python3-venv,ca-certificates,tzdata,iproute2"


@contextmanager
def clean_root(folder: Path) -> Iterator[Path]:
    """Give a root that can be entered with chroot, with this machine's way to package indexes."""
    if not TAR.exists():
        TAR.parent.mkdir(parents=True, exist_ok=True)
        sources = folder / "sources.list"
        sources.write_text(debian_sources())
        options = [word for option in fetching() for word in ("--aptopt", option)]
        made = TAR.with_suffix(".part")
        words = [
            "mmdebstrap",
            "--variant=minbase",
            "--format=tar",
            f"--include={PACKAGES}",
            *options,
        ]
        run(*words, RELEASE, str(made), str(sources))
        made.rename(TAR)
    root = folder / "root"
    root.mkdir()
    run("tar", "-C", root, "-xf", TAR, "--exclude=./dev/*")
    for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        if Path("/", name).exists():
            (root / name).unlink(missing_ok=True)
            shutil.copyfile(Path("/", name), root / name)
    mounts = {"dev": "/dev", "proc": "/proc"}
    for name, source in mounts.items():
        run("mount", "--rbind", "--make-rslave", source, root / name)
    try:
        yield root
    finally:
        for name in mounts:
            run("umount", "--recursive", "--lazy", root / name)


def inside(root: Path, *words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a program in the root to its end."""
    kept = {key: os.environ[key] for key in os.environ if key.startswith(("PIP_", "http", "HTTP"))}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        ["chroot", str(root), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**kept, "PATH": path, "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
