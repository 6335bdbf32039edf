"""`holdfast run` as somebody who tries it: every process real, no cloud but a bundle by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Zone
from tests.cloud.reference_trial import free_port, site_bundle


class Trial:
    """A running `holdfast run`, and its CLI."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "holdfast.toml"
        self.file.write_text(
            f'data = "{folder}/data"\nrun = "{folder}/run"\naddresses = ["127.0.0.1"]\n'
            f"sip_port = {free_port()}\nsips_port = {free_port()}\nadmin_port = {free_port()}\n"
            "media_ports = [41000, 41399]\n"
        )
        self.words = [sys.executable, "-m", "appliance.cli.command", "--settings", str(self.file)]
        self.process = subprocess.Popen(
            [*self.words, "run"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def ask(self, *words: str) -> tuple[int, Any]:
        done = subprocess.run([*self.words, *words, "--json"], capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def wait_for(self, *words: str, status: int) -> Any:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found, told = self.ask(*words)
            if found == status:
                return told
        pytest.fail(f"{words} never gave {status}: {told}")

    def children(self) -> dict[str, int]:
        """Return the processes by name."""
        task = Path("/proc") / str(self.process.pid) / "task" / str(self.process.pid)
        pids = map(int, (task / "children").read_text().split())
        return {name: pid for pid in pids if (name := _last_word(pid))}

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=20)
        return told


def _last_word(pid: int) -> str:
    """Return the end of a process's command line; nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]
    except OSError:
        return ""


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    if made.process.poll() is None:
        made.end()


def test_it_starts_takes_a_bundle_survives_a_kill_and_ends(trial: Trial, tmp_path: Path) -> None:
    nowhere = (Zone(id="primary", host="127.0.0.1", port=free_port(), transport="TCP"),)
    file = tmp_path / "site.json"
    file.write_bytes(msgspec.json.encode(site_bundle(zones=nowhere)))
    assert trial.wait_for("status", status=1)["mode"] == "no_bundle"
    assert trial.ask("bundle", "apply", str(file))[0] == 0
    assert trial.ask("status")[1]["bundle"]["version"] == 1
    before = trial.children()
    assert set(before) == {"core", "media", "admin", "ldap"}
    os.kill(before["core"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while trial.children().get("core", before["core"]) == before["core"]:
        assert time.monotonic() < deadline
    again = trial.wait_for("status", status=1)
    assert again["bundle"]["version"] == 1
    assert again["users"]["total"] == 4
    told = trial.end()
    assert trial.process.returncode == 0
    assert "core ended (signal SIGKILL); again in" in told
    assert "Traceback" not in told
    assert not any(_last_word(pid) for pid in before.values())


def test_its_children_end_when_it_is_killed(trial: Trial) -> None:
    trial.wait_for("status", status=1)
    children = trial.children()
    trial.process.kill()
    trial.process.wait()
    deadline = time.monotonic() + 10
    while any(_last_word(pid) for pid in children.values()):
        assert time.monotonic() < deadline
