"""The systemd units: valid, closed, and with a watchdog that replaces a hang in time."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parent.parent.parent / "systemd"
EXPOSURE = {
    "holdfast-core": 15,
    "holdfast-admin": 15,
    "holdfast-media": 20,
    "holdfast-ldap": 20,
    "holdfast-netdiag@": 22,
}
"""Highest exposure by `systemd-analyze security`, tenths."""
SERVICES = sorted(EXPOSURE)
LASTING = [name for name in SERVICES if "@" not in name]
"""Services that are always there; the others live for one question."""
TARGETS = ("sysinit", "basic", "multi-user", "sockets", "shutdown", "local-fs", "network-pre")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_closed_off(name: str) -> None:
    file = str(UNITS / f"{name}.service")
    checked = analyze("security", "--offline=true", f"--threshold={EXPOSURE[name]}", file)
    assert checked.returncode == 0, checked.stdout[-2000:]
    assert "Overall exposure level" in checked.stdout


def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/system"
    programs = [tmp_path / "usr/bin/holdfast", tmp_path / "usr/bin/holdfast-netdiag"]
    programs += [tmp_path / "usr/sbin/nft", tmp_path / "bin/kill"]
    for program in programs:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    folder.mkdir(parents=True)
    for target in TARGETS:
        (folder / f"{target}.target").write_text("[Unit]\nDescription=made up\n")
    ours = [*UNITS.glob("*.service"), *UNITS.glob("*.socket"), *UNITS.glob("*.target")]
    for unit in ours:
        (folder / unit.name).write_text(unit.read_text())
    names = [unit.name for unit in ours]
    checked = analyze("verify", f"--root={tmp_path}", "--man=no", *names)
    complaints = [line for line in checked.stderr.splitlines() if "holdfast" in line]
    assert len(names) >= 6 and complaints == []


@pytest.mark.parametrize("name", LASTING)
def test_a_hang_is_replaced_within_25_seconds_and_a_crash_at_once(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / f"{name}.service")
    service = unit["Service"]
    assert service["Type"] == "notify" and service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0", "it is never given up"
    if name not in ("holdfast-admin", "holdfast-ldap"):
        assert int(service["WatchdogSec"]) + int(service["TimeoutAbortSec"]) <= 20
        assert service["RestartSec"] == "200ms"


def test_no_python_lies_in_systemd() -> None:
    """The folder's name would hide systemd-python from whoever runs in the source tree."""
    assert not list(UNITS.rglob("*.py"))
