"""The Debian package and the trial by pip, each in a clean root: installed, run, taken away."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance import __version__
from image import deb
from tests.image.clean_root import clean_root, inside

SOURCE = Path(__file__).parent.parent.parent
COPIED = (
    "appliance",
    "sdg",
    "sbc_bridge",
    "netdiag",
    "pyproject.toml",
    "requirements.txt",
    "README.md",
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with clean_root(tmp_path) as made:
        yield made


@contextmanager
def running(root: Path, program: str) -> Iterator[None]:
    """Run all of Holdfast in the root, in a network of its own."""
    words = [program, "--data", "/tmp/data", "--run", "/tmp/run", "run"]
    network = [
        "unshare",
        "--net",
        "sh",
        "-c",
        'ip link set lo up; exec chroot "$0" "$@"',
        str(root),
    ]
    with (root / "tmp/log").open("w") as log:
        process = subprocess.Popen(
            [*network, "env", "HOLDFAST_ADMIN_PORT=8443", "HOLDFAST_MEDIA_KERNEL=off", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def serves(root: Path) -> bool:
    """Wait until all three processes say that they serve."""
    deadline = time.monotonic() + 60
    wanted = ("core.start serving", "relays in", "API at https")
    while time.monotonic() < deadline:
        if all(text in (root / "tmp/log").read_text() for text in wanted):
            return True
        time.sleep(0.2)
    return False


def test_the_debian_package_installs_runs_and_leaves_no_trace_when_purged(root: Path) -> None:
    shutil.copyfile(deb.build(root.parent), root / "tmp/holdfast.deb")
    installed = inside(root, "dpkg", "--install", "/tmp/holdfast.deb")
    assert installed.returncode == 0, installed.stderr
    assert inside(root, "holdfast", "--version").stdout == f"holdfast {__version__}\n"
    assert inside(root, "id", "-u", "holdfast").returncode == 0
    for unit in ("holdfast.target", "holdfast-core.service", "holdfast-admin.socket"):
        assert inside(root, "systemctl", "is-enabled", unit).stdout.strip() == "enabled"
    firewall = inside(root, "systemctl", "is-enabled", "holdfast-firewall.service")
    assert firewall.stdout.strip() == "disabled", "beside other services it is the admin's choice"
    target = "/usr/lib/systemd/system/holdfast.target"
    checked = inside(root, "systemd-analyze", "verify", "--man=no", target)
    assert "holdfast" not in checked.stderr
    sample = inside(root, "holdfast", "bundle", "sample", "--users", "3", "--out", "/tmp/site")
    assert sample.returncode == 0 and json.loads((root / "tmp/site/site.json").read_text())
    script = "/usr/share/bash-completion/completions/holdfast"
    asked = f". {script}; COMP_WORDS=(holdfast bundle ro) COMP_CWORD=2; _holdfast; echo $COMPREPLY"
    assert inside(root, "bash", "-c", asked).stdout == "rollback\n"
    with running(root, "/usr/bin/holdfast"):
        assert serves(root), (root / "tmp/log").read_text()
    purged = inside(root, "dpkg", "--purge", "holdfast")
    assert purged.returncode == 0, purged.stderr
    for place in ("usr/lib/holdfast", "usr/bin/holdfast", "etc/holdfast", script[1:]):
        assert not (root / place).exists(), place


def test_a_trial_by_pip_needs_nothing_but_the_source(root: Path) -> None:
    (root / "src").mkdir()
    for name in COPIED:
        source = SOURCE / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, root / "src" / name)
    for words in (
        ("python3", "-m", "venv", "/trial"),
        ("/trial/bin/pip", "install", "-q", "--require-hashes", "-r", "/src/requirements.txt"),
        ("/trial/bin/pip", "install", "-q", "--no-deps", "/src"),
    ):
        done = inside(root, *words)
        assert done.returncode == 0, done.stderr
    assert inside(root, "/trial/bin/holdfast", "--version").stdout == f"holdfast {__version__}\n"
    with running(root, "/trial/bin/holdfast"):
        assert serves(root), (root / "tmp/log").read_text()
