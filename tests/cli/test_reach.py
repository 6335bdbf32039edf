"""The command line reaches as far as the API: for each of its routes a command asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.cli.door import Door
from appliance.cli.tree import commands_of, whole_parser
from appliance.errors import HoldfastError
from appliance.web.access import ACCESS
from tests.cli.appliance import Appliance
from tests.cloud.reference_trial import site_bundle
from tests.fake_core import record

API = "/api/v1/"
OF_BROWSERS = {"POST session", "GET session", "DELETE session", "POST session/password"}
"""Commands show the token of the data folder and have no session."""
HERE = {"GET groups", "POST groups/{extension}/walk", "GET dial", "GET diagnostics/{id}/report"}
"""The same done by the command itself, from the stored bundle, also while nothing runs."""

COMMANDS = {
    "GET status": "status",
    "GET zones": "zones",
    "GET zones/{id}/day": "zones --day primary",
    "GET phones": "phones",
    "GET readiness": "phones --readiness",
    "GET calls": "calls",
    "GET calls/{id}/messages": "calls ladder c1",
    "GET calls/{id}/pcap": "calls pcap c1 -o PCAP",
    "GET records": "records",
    "GET records/{id}": "records show r1",
    "GET mode": "mode",
    "GET mode/history": "mode",
    "GET evidence": "mode",
    "GET diagnostics": "diagnose --list",
    "POST diagnostics": "diagnose machine",
    "GET diagnostics/{id}": "diagnose machine",
    "GET captures": "capture list",
    "POST captures": "capture begin --no-wait --card nowhere",
    "GET captures/{id}/pcap": "capture save 1 -o CAPTURE",
    "POST captures/{id}/stop": "capture stop 1",
    "DELETE captures/{id}": "capture delete 1",
    "GET bundle": "bundle show",
    "POST bundle": "bundle apply SITE",
    "POST sync": "bundle pull",
    "GET bundle/changes": "bundle changes",
    "GET bundle/versions": "bundle history",
    "POST bundle/rollback": "bundle rollback 7",
    "POST bundle/held/release": "bundle release 7",
    "POST bundle/held/discard": "bundle discard 7",
    "GET qos": "qos",
    "GET emergency": "emergency",
    "GET emergency/trial": "emergency test 1001",
    "GET directory": "directory search zoe",
    "GET forwardings": "forwarding list",
    "POST forwardings/{extension}/reset": "forwarding reset 1001",
    "POST parked/{orbit}/return": "park return 7701",
    "GET trunk": "trunk",
    "POST trunk/drain": "trunk drain sbc1",
    "POST trunk/resume": "trunk resume sbc1",
    "POST trunk/release": "trunk release a",
    "GET peers": "peers",
    "POST peers/drain": "peers drain east",
    "POST peers/resume": "peers resume east",
    "POST test": "test begin 1001",
    "DELETE test": "test end",
    "GET issues": "health",
    "GET machine": "health",
    "GET notices": "notices",
    "GET events": "events --count 1",
    "GET accounts": "account list",
    "POST accounts": "account add zoe auditor",
    "PATCH accounts/{name}": "account role zoe operator",
    "DELETE accounts/{name}": "account remove zoe",
    "POST accounts/{name}/password": "account reset zoe",
    "GET tokens": "token list",
    "POST tokens": "token add monitoring",
    "DELETE tokens/{id}": "token remove 1",
    "GET audit": "audit",
    "POST backup": "backup FILE --passphrase-file PHRASE",
}
"""Routes below /api/v1, each with a command line that asks it."""


PAGES = {
    "/survivability/test": "test begin 1001",
    "/survivability/test/end": "test end",
    "/trunk/drain": "trunk drain sbc1",
    "/trunk/resume": "trunk resume sbc1",
    "/trunk/release": "trunk release a",
    "/sites/drain": "peers drain east",
    "/sites/resume": "peers resume east",
    "/waiting/return": "park return 7701",
    "/waiting/reset": "forwarding reset 1001",
    "/records.csv": "records --csv",
    "/diagnostics": "diagnose machine",
    "/diagnostics/captures": "capture begin --no-wait --card nowhere",
    "/diagnostics/captures/{id}/stop": "capture stop 1",
    "/diagnostics/captures/{id}/delete": "capture delete 1",
    "/configuration/pull": "bundle pull",
    "/configuration/upload": "bundle apply SITE",
    "/configuration/release": "bundle release 7",
    "/configuration/discard": "bundle discard 7",
    "/configuration/rollback": "bundle rollback 7",
    "/system/accounts": "account add zoe auditor",
    "/system/accounts/{name}/role": "account role zoe operator",
    "/system/accounts/{name}/reset": "account reset zoe",
    "/system/accounts/{name}/remove": "account remove zoe",
    "/system/tokens": "token add monitoring",
    "/system/tokens/{id}/remove": "token remove 1",
    "/system/backup": "backup FILE --passphrase-file PHRASE",
}
"""What pages do or give as a file, and the command for the same."""
FOLLOWED = {"GET captures/{id}"}
"""What `capture begin` asks while one runs, which needs a card and rights: see tests/system."""
AT_THE_DOOR = {"/login", "/logout", "/password"}


def routes() -> set[str]:
    found = (route.split(f" {API}") for route in ACCESS if f" {API}" in route)
    return {f"{method} {path}" for method, path in found}


def test_every_route_of_the_api_has_its_command() -> None:
    told = set(COMMANDS) | OF_BROWSERS | HERE | FOLLOWED
    missing = sorted(routes() - told)
    assert not missing, f"the API can do what no command can; add one: {missing}"
    assert not told - routes(), "the API has these no more"


def test_every_form_and_file_of_the_pages_has_its_command() -> None:
    own = [route.split() for route in ACCESS if " /api/" not in route]
    acts = {path for method, path in own if method == "POST" or path.endswith(".csv")}
    missing = sorted(acts - AT_THE_DOOR - set(PAGES))
    assert not missing, f"pages can do what no command can; add one: {missing}"
    assert set(PAGES.values()) <= {"records --csv", *COMMANDS.values()}, "these are run below"


@pytest.fixture(scope="module")
def asked(shared: Appliance) -> Iterator[dict[str, set[str]]]:
    """Run each command once; return what each has asked for."""
    folder: Path = shared.folder
    (folder / "site.json").write_bytes(msgspec.json.encode(site_bundle(version=8)))
    (folder / "phrase").write_text("a long passphrase\n")
    shared.core.waiting = [record("r1")]
    words = {"SITE": folder / "site.json", "FILE": folder / "all", "PHRASE": folder / "phrase"}
    words |= {"PCAP": folder / "call.pcapng", "CAPTURE": folder / "capture.pcapng"}
    found: dict[str, set[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        heard = _listen(patch)
        for line in dict.fromkeys(["bundle apply SITE", *COMMANDS.values()]):
            heard.clear()
            shared.run(*(str(words.get(word, word)) for word in line.split()))
            found.setdefault(line, set()).update(heard)
    yield found


def _listen(patch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    answering = Door._answering

    def listening(door: Door, method: str, path: str, *more: Any) -> Any:
        heard.append(f"{method} {path.partition('?')[0]}")
        return answering(door, method, path, *more)

    patch.setattr(Door, "_answering", listening)
    return heard


@pytest.mark.parametrize("route", COMMANDS)
def test_a_command_asks_the_route_it_is_for(route: str, asked: dict[str, set[str]]) -> None:
    pattern = re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(route))
    heard = asked[COMMANDS[route]]
    assert any(re.fullmatch(pattern, one) for one in heard), heard


def test_what_commands_do_by_themselves_is_there() -> None:
    whole = whole_parser()
    for words in ("sdg list", "sdg test", "dial", "diagnose"):
        parser = whole
        for word in words.split():
            parser = commands_of(parser)[word]


def test_records_as_a_table_for_spreadsheets(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.core.waiting = [record("r1", caller="=1+1")]
    assert appliance.run("records", "--csv") == 0
    heading, row = capsys.readouterr().out.split("\r\n")[:2]
    assert heading.startswith("id,started,caller,") and row.startswith("r1,")
    assert ",'=1+1," in row, "no cell is a formula"


def test_notices_and_events_as_lines(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("notices", "--limit", "1") == 0
    (heading, row) = capsys.readouterr().out.splitlines()
    assert heading.startswith("when") and "core.start  serving" in row
    assert appliance.run("events", "--count", "2", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["core", "mode"]
    assert lines[1]["data"]["mode"] == "standby"


def test_health_shows_each_issue_with_its_cure_and_the_box(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.run("health")
    text = capsys.readouterr().out
    assert "warning  Banned for wrong passwords: 1 address" in text
    assert "\n         If it is a phone of yours, correct its password" in text
    assert re.search(r"^disk +[\d.]+ .iB of", text, re.MULTILINE)
    assert re.search(r"^certificate +for web, lasts for", text, re.MULTILINE)
    appliance.run("health", "--json")
    assert set(json.loads(capsys.readouterr().out)) == {"issues", "machine"}


@pytest.mark.parametrize(("severity", "status"), [("alarm", 1), ("warning", 0), ("info", 0)])
def test_an_alarm_makes_health_say_no(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, severity: str, status: int
) -> None:
    monkeypatch.setattr(Door, "get", lambda door, path: [{"severity": severity}])
    assert appliance.run("health", "--json") == status


def test_the_stream_of_events_that_ends_is_told(
    appliance: Appliance,
) -> None:
    door = Door(appliance.settings)
    with pytest.raises(HoldfastError, match="Not Found"):
        next(door.follow("nothing"))


def test_the_day_of_a_zone_nobody_knows_is_empty(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("zones", "--day", "n\x1bone") == 1
    assert "was not asked in the last 24 hours" in capsys.readouterr().out
