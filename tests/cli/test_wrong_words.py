"""Wrong words on the command line: the status is 2, one sentence says why, nothing is done."""

from __future__ import annotations

import os
import subprocess
import sys
from http.client import HTTPResponse
from pathlib import Path
from socket import socketpair

import pytest

from appliance.cli.door import Door, Problem, _keep
from appliance.errors import Unavailable
from tests.cli.appliance import Appliance

ROOT = Path(__file__).parents[2]
LONG = "x" * 300

WRONG = {
    "capture begin --seconds 0": "--seconds: write a whole number, 1 to 600, not '0'",
    "capture begin --seconds -1": "--seconds: write a whole number",
    "capture begin --megabytes 51": "--megabytes: write a whole number, 1 to 50",
    "capture begin --ports 0-9 --audio": "--ports: write them like 20000-20100",
    "capture begin --ports -1 --audio": "--ports: write them like 20000-20100",
    "capture begin --ports 1_0 --audio": "--ports: write them like 20000-20100",
    "capture begin --ports 1-65536 --audio": "within 1 to 65535",
    "capture begin --ports 9-1 --audio": "ports:",
    "capture begin --ports 1-9": "give --audio too",
    "capture begin --card nowhere": "card: there is no 'nowhere'",
    "capture begin --host nowhere": "'nowhere' is no address",
    "capture begin --no-wait -o NEW": "--no-wait: there is nothing to write yet",
    "capture begin -o THERE": "is there already",
    "capture begin -o NEW/below": "there is no folder",
    "capture save 1 -o THERE": "is there already",
    f"capture stop {LONG}": "ID: write an id",
    "calls ladder": "name one ID",
    "calls ladder a b": "name one ID",
    f"calls pcap {LONG}": "name one ID",
    f"calls {LONG}": "name one ID",
    "calls pcap c1 -o THERE": "is there already",
    "calls c1 -o NEW": "only `pcap ID` writes a file",
    "calls ladder c1 -o NEW": "only `pcap ID` writes a file",
    "records -o NEW": "only `pcap ID` writes a file",
    "records --csv --json": "give one of them",
    "records r1 --csv": "--csv: it is for the list",
    "records ladder r1 --limit 2": "--limit: it is for the list",
    "records --limit 0": "--limit: write a whole number, 1 to 1000",
    "records --limit 1001": "--limit: write a whole number, 1 to 1000",
    "records --since nan": "--since: write Unix seconds",
    "records --csv --since 1e20": "--since: write Unix seconds",
    "events --count 0": "--count: write a whole number, 1 or more",
    "events --count -1": "--count: write a whole number, 1 or more",
    "notices --limit 0": "--limit: write a whole number, 1 or more",
    "audit --limit 1001": "--limit: write a whole number, 1 to 1000",
    "directory search x --limit 0": "--limit: write a whole number",
    "bundle changes 0": "version: write a whole number, 1 or more",
    "bundle rollback -1": "version: write a whole number, 1 or more",
    "bundle sample --out NEW --site a/b": "bundle refused: site.id",
    "test begin 1001 --minutes nan": "--minutes: write a number above 0, up to 480",
    "token add x --days 731": "--days: write a number above 0, up to 730",
    "account add LONG auditor": "name: write an id",
    "emergency test LONG": "too many to ask for",
    "trunk drain SBC": "sbc: expected `str` of length <= 400",
    "bundle sign SITE --key THERE --out NEW": "make one with `holdfast bundle keygen`",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_words_are_told_and_nothing_is_done(
    line: str, appliance: Appliance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, new, site = tmp_path / "there", tmp_path / "new", tmp_path / "site"
    there.write_text("kept")
    appliance.run("bundle", "sample", "--users", "2", "--contacts", "0", "--out", str(site))
    capsys.readouterr()
    named = {"THERE": there, "NEW": new, "SITE": site / "site.json", "SBC": LONG * 2}
    named |= {"LONG": LONG * 30}
    words = [str(named.get(word, word)).replace("NEW", str(new)) for word in line.split()]
    asked = len(appliance.core.asked)
    assert appliance.run(*words) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert WRONG[line] in told and len(told) < 500
    assert (there.read_text(), new.exists()) == ("kept", False)
    names = {name for name, _ in appliance.core.asked[asked:]}
    assert names <= {"calls", "bundle.info", *appliance.by_itself}


@pytest.mark.parametrize("line", ["capture save", "capture delete", "calls ladder", "zones --day"])
def test_an_empty_id_is_no_question(
    line: str, appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run(*line.split(), "") == 2
    assert "ID" in capsys.readouterr().err.upper()


def test_the_api_too_takes_no_time_that_is_none(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("nan", "inf", "x"):
        with pytest.raises(Problem, match=f"since must be a number, not '{text}'"):
            Door(appliance.settings).get(f"records?since={text}")


def test_an_answer_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        theirs.close()
        answer = HTTPResponse(ours)
        answer.begin()
        with pytest.raises(Unavailable, match="996 octets are missing"):
            _keep(answer, tmp_path / "call.pcapng")
    assert list(tmp_path.iterdir()) == []


def test_output_that_has_no_room_is_told_in_a_sentence() -> None:
    command = [sys.executable, "-m", "appliance.cli.command", "bundle", "schema"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False
        )
    assert ended.returncode == 3
    assert ended.stderr.endswith("is not there whole: No space left on device\n")
    assert "Traceback" not in ended.stderr


def test_letters_that_a_terminal_lacks_end_no_command(appliance: Appliance) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "appliance.cli.command", "--settings", appliance.file, "phones"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert b"Zo?" in ended.stdout
