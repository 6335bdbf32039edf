"""The demo as somebody starts it: every step verified, everything ended, nothing left behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 180
"""Seconds; it takes 35 on an idle machine."""


def test_the_demo_verifies_every_step_and_cleans_up() -> None:
    # Not pytest's folder: its name is too long for the paths of Unix sockets.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        check_demo(Path(folder))


def check_demo(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "appliance.cli.command", "demo", "--phones", "9"],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    told = ended.stdout.decode()
    assert ended.returncode == 0, told + ended.stderr.decode()
    assert "failed" not in told and "not reached" not in told
    assert not list(folder.iterdir())


def test_too_few_phones_are_refused() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "appliance.cli.command", "demo", "--phones", "1"],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 2
    assert b"--phones must be 6 to 2000" in ended.stderr
