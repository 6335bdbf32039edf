"""The Debian package: Holdfast with its locked dependencies, its units and its firewall.

    python -m image.deb [FOLDER]

For Debian 13 (Python 3.13) on amd64. It brings its Python packages along, each checked against its
hash in requirements.txt, so that what runs is what was tested, whatever the machine has.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import sys
from pathlib import Path

from appliance import __version__
from appliance.cli.command import main
from image.commands import OUT, ROOT, BuildError, run, say, stamp

PYTHON = "3.13"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
"""What Debian 13 on amd64 can run."""
SITE = "usr/lib/holdfast/site"
PACKAGES = ("appliance", "sdg", "sbc_bridge", "netdiag")
PROGRAMS = ("holdfast", "holdfast-netdiag")
NOT_NEEDED = ("bin", "pip", "pip-*", "__pycache__")
"""Of what is installed: scripts, and an installer that nothing here may call."""
MANUAL = "usr/share/man/man1/holdfast.1.gz"
COMPLETION = "usr/share/bash-completion/completions/holdfast"
UNITS = "usr/lib/systemd/system"
FILES = {
    "systemd/sysusers.conf": "usr/lib/sysusers.d/holdfast.conf",
    "systemd/tmpfiles.conf": "usr/lib/tmpfiles.d/holdfast.conf",
    "systemd/sysctl.conf": "usr/lib/sysctl.d/60-holdfast.conf",
    "systemd/firewall.nft": "usr/lib/holdfast/firewall.nft",
    "LICENSE": "usr/share/doc/holdfast/copyright",
    "CHANGELOG.md": "usr/share/doc/holdfast/changelog.md",
}
"""Where files of the source tree go."""


def build(folder: Path) -> Path:
    """Build the package into `folder` and return its file; the same input gives the same octets."""
    tree = folder / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    _dependencies(tree / SITE)
    _ours(tree / SITE)
    _files(tree)
    write_documents(tree)
    _control(tree)
    _settle(tree)
    package = folder / f"holdfast_{__version__}_amd64.deb"
    run("dpkg-deb", "--root-owner-group", "-Zzstd", "--build", tree, package)
    say(f"{package.name}: {package.stat().st_size >> 20} MiB")
    return package


def _dependencies(site: Path) -> None:
    platforms: list[str] = [word for platform in PLATFORMS for word in ("--platform", platform)]
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "--no-compile"),
        *("--require-hashes", "--only-binary=:all:", "--no-deps", "--python-version", PYTHON),
        *("--implementation", "cp", *platforms, "--requirement", str(ROOT / "requirements.txt")),
    )
    for pattern in NOT_NEEDED:
        for found in site.glob(pattern):
            shutil.rmtree(found)


def _ours(site: Path) -> None:
    for name in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / name, site / name, ignore=skip)


def _files(tree: Path) -> None:
    places = {ROOT / source: tree / place for source, place in FILES.items()}
    for unit in (ROOT / "systemd").iterdir():
        if unit.suffix in (".service", ".socket", ".target"):
            places[unit] = tree / UNITS / unit.name
    places |= {ROOT / "image/package" / name: tree / "usr/bin" / name for name in PROGRAMS}
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    for name in PROGRAMS:
        (tree / "usr/bin" / name).chmod(0o755)
    (tree / "etc/holdfast/firewall.d").mkdir(parents=True)


def write_documents(tree: Path) -> None:
    """Write the man page and what bash completes with, both as the commands print them."""
    page, script = _printed("manual"), _printed("completion")
    for place, content in ((MANUAL, gzip.compress(page, mtime=0)), (COMPLETION, script)):
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).write_bytes(content)


def _printed(word: str) -> bytes:
    with io.StringIO() as text, contextlib.redirect_stdout(text):
        if main([word]):
            raise BuildError(f"`holdfast {word}` failed")
        return text.getvalue().encode()


def _control(tree: Path) -> None:
    kibibytes = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()) >> 10
    text = (ROOT / "image" / "package" / "control").read_text()
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        text.replace("@VERSION@", __version__).replace("@SIZE@", str(kibibytes))
    )
    for name in ("postinst", "prerm", "postrm"):
        shutil.copyfile(ROOT / "image" / "package" / name, control / name)
        (control / name).chmod(0o755)


def _settle(tree: Path) -> None:
    """Give every file the one time and plain permissions, whoever built it and when."""
    for place in [tree, *tree.rglob("*")]:
        executable = place.is_dir() or place.stat().st_mode & 0o100
        place.chmod(0o755 if executable else 0o644)
        os.utime(place, (stamp(), stamp()))


if __name__ == "__main__":
    out = Path(sys.argv[1]) if sys.argv[1:] else OUT
    out.mkdir(parents=True, exist_ok=True)
    print(build(out))
