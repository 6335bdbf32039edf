"""`holdfast cloud`: run it, fail it, ask it, end it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.cli.command import main
from tests.cloud.reference_trial import site_bundle

COMMAND = [sys.executable, "-m", "appliance.cli.command", "cloud", "run"]
PORTS = ["--http-port", "0", "--primary-port", "0", "--secondary-port", "0"]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    site, folder = tmp_path / "site.json", tmp_path / "cloud"
    site.write_bytes(msgspec.json.encode(site_bundle()))
    process = subprocess.Popen(
        [*COMMAND, "--site", str(site), "--data", str(folder), *PORTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + 20
        while not (folder / "access.json").exists() and time.monotonic() < ends:
            time.sleep(0.05)
        yield folder
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        if process.stdout is not None:
            process.stdout.close()


def test_a_zone_is_commanded_and_shown(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data", str(data)]
    assert main(["cloud", "zone", "primary", "down", *where]) == 0
    assert main(["cloud", "status", "--json", *where]) == 0
    status = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert [(zone["state"], zone["listening"]) for zone in status["zones"]] == [
        ("down", False),
        ("up", True),
    ]
    assert main(["cloud", "status", *where]) == 0
    assert "zone primary      down" in capsys.readouterr().out


def test_the_api_is_failed_and_mended(data: Path) -> None:
    where = ["--data", str(data)]
    assert main(["cloud", "api", "--failing", *where]) == 0
    assert main(["cloud", "records", *where]) == 2
    assert main(["cloud", "api", *where]) == 0
    assert main(["cloud", "records", *where]) == 0


def test_an_unknown_zone_is_a_usage_error(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cloud", "zone", "tertiary", "down", "--data", str(data)]) == 2
    assert "there are: primary, secondary" in capsys.readouterr().err


def test_a_cloud_that_never_ran_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cloud", "status", "--data", str(tmp_path)]) == 2
    assert "is the reference cloud running" in capsys.readouterr().err


def test_a_port_in_use_is_named(data: Path, tmp_path: Path) -> None:
    access = json.loads((data / "access.json").read_text())
    port = access["url"].rpartition(":")[2]
    words = ["--site", str(tmp_path / "site.json"), "--data", str(tmp_path / "other")]
    ports = ["--http-port", port, "--primary-port", "0", "--secondary-port", "0"]
    ended = subprocess.run([*COMMAND, *words, *ports], capture_output=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert f"{port}: address already in use" in ended.stderr.decode().lower()
