"""The demo as somebody starts it: every step verified, everything ended, nothing left behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LIMIT = 180
"""Seconds; it takes 35 on an idle machine."""
BEYOND = (
    "A call out over the trunk",
    "A call in over the trunk",
    "A call for help, and the call back",
    "The sites find each other",
    "Calls between sites",
)


def test_the_demo_verifies_every_step_and_cleans_up() -> None:
    told = check_demo("--phones", "9")
    assert not any(title in told for title in BEYOND)


def test_trunk_and_sites_are_verified_as_the_rest_is() -> None:
    told = check_demo("--phones", "6", "--trunk", "--sites", "2")
    rows = [line for line in told.partition("Summary")[2].splitlines() if " verified " in line]
    for title in BEYOND:
        assert any(row.startswith(title) for row in rows), title


def check_demo(*words: str) -> str:
    # Not pytest's folder: its name is too long for the paths of Unix sockets.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        return play(Path(folder), *words)


def play(folder: Path, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "appliance.cli.command", "demo", *words],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    told = ended.stdout.decode()
    assert ended.returncode == 0, told + ended.stderr.decode()
    assert "failed" not in told and "not reached" not in told
    assert not list(folder.iterdir())
    return told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--phones", "1"], b"--phones must be 6 to 2000"),
        (["--sites", "5"], b"--sites must be 1 to 4"),
        (["--sites", "0"], b"--sites must be 1 to 4"),
    ],
)
def test_what_cannot_be_played_is_refused(words: list[str], why: bytes) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "appliance.cli.command", "demo", *words],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 2
    assert why in ended.stderr
