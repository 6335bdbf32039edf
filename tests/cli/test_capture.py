"""`holdfast capture` against an admin process, with packets from a program of ours."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.diagnostics import captures as module
from tests.cli.appliance import Appliance
from tests.diagnostics.test_captures import Program


@pytest.fixture
def program(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setattr(module, "_cards", lambda: ["eth0", "eth1"])
    made, loop = Program(appliance.folder), asyncio.new_event_loop()
    door = str(appliance.folder / "netdiag.sock")
    server = loop.run_until_complete(asyncio.start_unix_server(made.serve, door))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    Path(door).unlink(missing_ok=True)


def test_a_capture_is_followed_and_written(
    appliance: Appliance, program: Program, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "phones.pcapng"
    words = ["--seconds", "5", "--host", "192.0.2.7", "--audio", "--ports", "20000-20100"]
    assert appliance.run("capture", "begin", *words, "-o", str(file)) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("on eth0: complete, 1 packets, 152 B, 0 dropped")
    assert second == f"{file}: 152 octets"
    assert file.stat().st_size == 152
    asked = program.asked[0]
    assert (asked["hosts"], asked["audio"]) == (["192.0.2.7"], [[20000, 20100]])
    assert appliance.run("capture", "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert appliance.run("capture", "list") == 0
    assert f"192.0.2.7, audio  1        152 B  0        complete  {row['id']}" in (
        capsys.readouterr().out
    )
    again = tmp_path / "again.pcapng"
    assert appliance.run("capture", "save", row["id"], "-o", str(again)) == 0
    assert again.read_bytes() == file.read_bytes()
    assert appliance.run("capture", "save", row["id"], "-o", str(again)) == 2
    assert appliance.run("capture", "delete", row["id"]) == 0
    capsys.readouterr()
    for what in ("save", "stop", "delete"):
        assert appliance.run("capture", what, row["id"]) == 1
        assert "there is no capture" in capsys.readouterr().out


def test_one_that_runs_is_stopped(
    appliance: Appliance, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    program.goes_on = True
    assert appliance.run("capture", "begin", "--no-wait", "--json") == 0
    name = json.loads(capsys.readouterr().out)["id"]
    assert appliance.run("capture", "begin") == 2
    assert "running already" in capsys.readouterr().err
    assert appliance.run("capture", "delete", name) == 2
    assert appliance.run("capture", "stop", name) == 0
    assert ": stopped, " in capsys.readouterr().out
    assert appliance.run("capture", "delete", name) == 0


def test_what_fails_is_a_no_and_wrong_words_are_usage(
    appliance: Appliance, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    program.pieces = [b'{"failure": "not permitted: it needs CAP_NET_RAW"}\n']
    assert appliance.run("capture", "begin") == 1
    assert "not permitted" in capsys.readouterr().out
    for words in (["--seconds", "601"], ["--ports", "x"], ["--no-wait", "-o", "x"]):
        assert appliance.run("capture", "begin", *words) == 2
        assert capsys.readouterr().err
