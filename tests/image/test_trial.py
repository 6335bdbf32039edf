"""The trial site of the Vagrantfile: its script, run in a clean root, makes a site that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image import deb
from image.commands import ROOT
from tests.image.clean_root import clean_root, inside
from tests.system.network import APPLIANCE, CLOUD, Host, Network
from tests.system.waiting import until

PLACES = ("HOME", "DOTFILE_PATH")
"""What Vagrant would otherwise write into the home and the source tree."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with clean_root(tmp_path) as made:
        shutil.copyfile(deb.build(tmp_path), made / "tmp/holdfast.deb")
        shutil.copyfile(ROOT / "image/trial.sh", made / "tmp/trial.sh")
        yield made


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network(1)
    yield made
    made.close()


def start(host: Host, root: Path, log: Path, *words: str) -> None:
    quiet = {"HOLDFAST_MEDIA_KERNEL": "off", "HOLDFAST_ADMIN_PORT": "8443"}
    host.start("chroot", str(root), *words, log=log, environment=quiet)


def test_three_machines_make_a_site_that_outlives_its_cloud(
    root: Path, network: Network, tmp_path: Path
) -> None:
    for role in ("phones", "appliance", "cloud"):
        done = inside(root, "sh", "/tmp/trial.sh", role, CLOUD, APPLIANCE, seconds=1200)
        assert done.returncode == 0 and f"{role} is ready" in done.stdout, done.stderr
    unit = (root / "etc/systemd/system/holdfast-cloud.service").read_text()
    command = next(line[10:] for line in unit.splitlines() if line.startswith("ExecStart="))
    cloud, appliance, calls = (tmp_path / f"{name}.log" for name in ("cloud", "appliance", "calls"))
    start(network.cloud, root, cloud, *command.split())
    start(network.appliance, root, appliance, "/usr/bin/holdfast", "run")
    said = appliance.read_text
    until(lambda: "core.start serving" in said(), 60, "it serves", said)
    until((root / "var/lib/holdfast-cloud/access.json").exists, 60, "the cloud", cloud.read_text)
    network.cloud.run("chroot", str(root), "/usr/local/sbin/holdfast-trial", "outage")
    until(lambda: "survivability" in said(), 60, "the outage", said)
    start(network.phones[0], root, calls, "/usr/local/sbin/holdfast-trial", "call")
    until(lambda: "Call established" in calls.read_text(), 60, "a call", calls.read_text)


def test_vagrant_takes_the_description(tmp_path: Path) -> None:
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=ROOT,
        env={**os.environ, **{f"VAGRANT_{name}": str(tmp_path / name) for name in PLACES}},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_role_is_refused(tmp_path: Path) -> None:
    words = ["sh", str(ROOT / "image/trial.sh"), "printer", CLOUD, APPLIANCE]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "printer is none of" in done.stderr
