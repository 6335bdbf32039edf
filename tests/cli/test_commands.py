"""The commands as people and scripts use them: words in, text and exit status out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import decode
from appliance.cli.command import FAMILIES, main
from appliance.cli.output import age
from appliance.cli.status import complaints
from tests.cli.appliance import Appliance
from tests.cloud.reference_trial import free_port, site_bundle
from tests.fake_core import CALLS, STATUS, record


def test_status_in_one_glance(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("status") == 0
    text = capsys.readouterr().out
    assert "standby for" in text
    assert "zones    primary up 12.3 ms" in text
    assert "phones   1 registered, 2 expected" in text
    assert "records  3 waiting for the cloud" in text
    assert "bans     192.0.2.7 for 15 min" in text
    assert "\x1b" not in text


def test_status_as_json(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["healthy"], told["complaints"], told["mode"]) == (True, [], "standby")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"mode": "survivability", "reason": "both zones down"}, "the mode is survivability: both"),
        ({"zones": [STATUS["zones"][0] | {"state": "down", "reason": "tls"}]}, "zone primary is"),
        ({"zones": [STATUS["zones"][0] | {"state": "unknown"}]}, "zone primary has not answered"),
        ({"bundle": None}, "there is no bundle yet"),
        ({"sync": {"bundle": {"failure": "no answer"}}}, "the bundle cannot be pulled: no answer"),
        ({"sync": {"bundle": {"core_failure": "away"}}}, "core does not serve the stored bundle"),
        ({"sync": {"bundle": {"problems": [{}, {}]}}}, "a bundle was refused with 2 problems"),
        ({"sync": {"records": {"failure": "503"}}}, "call records wait: 503"),
        ({"sync": {"records": {"refused": {"a": ""}}}}, "the cloud will not take 1 call records"),
    ],
)
def test_what_is_not_well_is_said(change: dict[str, Any], text: str) -> None:
    [found] = complaints(STATUS | change)
    assert found.startswith(text)


def test_phones_lists_who_is_there_and_who_is_missing(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("phones") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("1001       Zoë   registered  UDP        192.0.2.1 port 5060")
    assert lines[2].split() == ["1002", "Bo", "missing"]
    assert lines[-1] == "1 phones registered, 1 users without"


def test_nothing_a_phone_says_commands_the_terminal(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.run("phones")
    assert "phone\ufffd[31m" in capsys.readouterr().out


def test_readiness_tells_the_worst_first_and_why(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("phones", "--readiness") == 1
    heading, worst, good, _, counts = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["extension", "name", "phone", "verdict"]
    assert worst.startswith("1002       Bo            not ready  never")
    assert worst.endswith("no password has come; no phone has ever come here")
    assert good.startswith("1001       Zoë   Desk 7  ready")
    assert counts == "1 ready, 0 doubtful, 1 not ready"
    assert appliance.run("phones", "--readiness", "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "ready"


def test_missing_phones_are_a_no(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("phones", "--missing", "--json") == 1
    assert [one["user"] for one in json.loads(capsys.readouterr().out)] == ["b"]


def test_mode_with_history(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("mode") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("standby for ")
    assert lines[3].endswith("recovering     standby     stable for 300 s")
    assert lines[6] == "what was found when zones failed"
    assert lines[7].endswith("The certificate of zone primary has expired")
    assert lines[8].strip() == "Ask the cloud's operator for a new one."


def test_checks_are_listed_run_and_reported(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert appliance.run("diagnose", "--list") == 0
    assert "Asks the cloud's API for an answer." in capsys.readouterr().out
    file = tmp_path / "report.txt"
    assert appliance.run("diagnose", "cloud", "configuration", "--report", str(file)) == 1
    told = capsys.readouterr().out
    assert "not needed  Cloud's HTTPS: no cloud_url is set" in told
    assert "wrong       Configuration: there is no configuration" in told
    assert "[wrong] Configuration" in file.read_text()
    assert appliance.run("diagnose", "cloud", "--json") == 0
    [one] = json.loads(capsys.readouterr().out)["results"]
    assert (one["check"], one["verdict"]) == ("cloud", "not_applicable")


def test_a_check_that_does_not_exist_is_refused_with_those_that_do(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("diagnose", "nothing") == 2
    assert "there is no check 'nothing'; there are: zones," in capsys.readouterr().err


def test_scripts_can_ask_for_a_mode(appliance: Appliance) -> None:
    assert appliance.run("mode", "--is", "standby") == 0
    assert appliance.run("mode", "--is", "testing") == 1


def test_zones(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("zones") == 0
    assert "primary  a.example  TLS        up" in capsys.readouterr().out


def test_calls(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert appliance.run("calls") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == [
        "1001",
        "1002",
        "1002",
        "answered",
    ]


def test_a_parked_call_says_where(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CALLS[0], "parked", "7701")
    assert appliance.run("calls") == 0
    assert "parked at 7701" in capsys.readouterr().out


def test_calls_tell_how_they_are_heard(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("calls") == 0
    assert " 4.2/- " in capsys.readouterr().out
    for words in (("show", "c1"), ("c1",)):
        assert appliance.run("calls", *words) == 0
        text = capsys.readouterr().out
        assert "  ring 1002" in text
        (row,) = [line for line in text.splitlines() if "4.21" in line]
        assert " ".join(row.split()) == (
            "caller 4.21 good PCMU 1.2 % 5.0 % 2.1 ms 4.0 ms 10.1 ms 68.8 500 3 0"
            " the far phone's reports"
        )
    assert appliance.run("calls", "c1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["from_caller"]["quality"]["loss"] == 0.0123
    assert appliance.run("calls", "c2") == 1
    assert appliance.run("calls", "show") == 2
    assert appliance.run("calls", "c1", "c2") == 2


def test_records_tell_how_they_were_heard(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    poor = {"source": "headers", "codec": "G729", "loss": 0.2, "loss_max": 0.4, "mos": 2.1}
    counters = {"packets": 900, "octets": 28_800, "quality": poor}
    appliance.core.waiting = [record("r-1", answered=1001.0, ended=1061.0, from_callee=counters)]
    assert appliance.run("records") == 0
    assert "1 min   -/2.1  survivability" in capsys.readouterr().out
    assert appliance.run("records", "show", "r-1") == 0
    text = capsys.readouterr().out
    assert "callee      2.10 poor  G729   20.0 %  40.0 %  -" in text
    assert "a sample of RTP headers" in text and "from_callee" not in text


def test_records(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    appliance.core.waiting = [record("r-1", answered=1001.0, ended=1061.0, steps=("ring 1002",))]
    assert appliance.run("records") == 0
    assert "answered  1 min   -/-  survivability  waits  r-1" in capsys.readouterr().out
    assert appliance.run("records", "r-1") == 0
    assert "  ring 1002" in capsys.readouterr().out
    assert appliance.run("records", "r-2") == 1


def test_a_call_that_is_over_is_shown_from_its_record(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.core.waiting = [record("r-1", ended=1061.0, steps=("ring 1002",))]
    assert appliance.run("calls", "show", "r-1") == 1
    text = capsys.readouterr().out
    assert text.startswith("no call r-1 is up")
    assert "ring 1002" in text
    assert appliance.run("calls", "show", "r-2") == 1


def test_what_was_said_is_drawn_and_written(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for family in ("calls", "records"):
        assert appliance.run(family, "ladder", "c1") == 0
        lines = capsys.readouterr().out.splitlines()
        assert "1001" in lines[1] and "Holdfast" in lines[1] and "1002" in lines[1]
        assert lines[2].endswith("INVITE with SDP") and lines[3].endswith("401 Unauthorized")
        assert "|-------->" in lines[2] and "|<--------" in lines[3]
        assert len(lines) == 18
        file = tmp_path / f"{family}.pcapng"
        assert appliance.run(family, "pcap", "c1", "-o", str(file)) == 0
        assert capsys.readouterr().out == f"{file}: {file.stat().st_size} octets\n"
        assert file.read_bytes().count(b"inline:" + b"x" * 40) == 5
        assert file.stat().st_mode & 0o777 == 0o600
        assert appliance.run(family, "pcap", "c1", "-o", str(file)) == 2
        assert "is there already" in capsys.readouterr().err
    assert appliance.run("calls", "ladder", "c1", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["messages"]) == 16
    for words in (("ladder", "none"), ("pcap", "none", "-o", str(tmp_path / "none"))):
        assert appliance.run("calls", *words) == 1
        assert "nothing is remembered of a call 'none'" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    assert appliance.run("calls", "pcap") == 2
    assert appliance.run("calls", "ladder", "c1", "c2") == 2


def test_a_bundle_is_applied_shown_and_refused(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    file = appliance.folder / "new.json"
    file.write_bytes(msgspec.json.encode(site_bundle(version=2)))
    assert appliance.run("bundle", "apply", str(file)) == 0
    assert capsys.readouterr().out == "applied version 2\n"
    assert appliance.run("bundle", "show") == 0
    assert "version 2 of site hq, stored" in capsys.readouterr().out
    file.write_bytes(msgspec.json.encode(site_bundle(version=1)))
    assert appliance.run("bundle", "apply", str(file)) == 1
    assert capsys.readouterr().out == "version: 1 is older than 2, which stays; raise the version\n"
    assert appliance.run("bundle", "show") == 1
    assert "refused at" in capsys.readouterr().out
    assert appliance.run("bundle", "pull") == 1


def test_without_core_commands_say_so_and_bundle_still_answers(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.core.away = True
    assert appliance.run("status") == 3
    assert "is it running?" in capsys.readouterr().err
    assert appliance.run("bundle", "show") == 1


def test_without_an_appliance_nothing_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "status"]) == 3
    assert "never ran with this folder" in capsys.readouterr().err


def test_a_dead_appliance_does_not_answer(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_ADMIN_PORT", str(free_port()))
    assert appliance.run("status") == 3
    assert "is Holdfast running?" in capsys.readouterr().err


def test_the_token_is_not_shown_to_a_stranger_on_our_port(
    appliance: Appliance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "admin.token").write_text("another-token")
    assert appliance.run("status", "--data", str(tmp_path)) == 2
    assert "shows none of the certificates" in capsys.readouterr().err


def test_global_options_may_stand_before_or_after(appliance: Appliance) -> None:
    folder = str(appliance.folder)
    assert appliance.run("--data", folder, "mode", "--is", "standby") == 0
    assert appliance.run("mode", "--data", folder, "--is", "standby") == 0


@pytest.mark.parametrize("words", [[], ["nothing"], ["mode", "--is", "gone"], ["records", "--x"]])
def test_wrong_words_are_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: holdfast" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sip_prot = 1", "sip_prot"),
        ("sip_port = [", "is not TOML"),
        ("data = 5", "`$.data`"),
        (None, "check the path"),
    ],
)
def test_wrong_settings_are_status_2(
    tmp_path: Path, text: str | None, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "holdfast.toml"
    if text is not None:
        file.write_text(text)
    assert main(["--settings", str(file), "status"]) == 2
    assert complaint in capsys.readouterr().err


def test_a_run_folder_too_long_for_sockets_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path / ("r" * 100)), "status"]) == 2
    assert "`run` is too long" in capsys.readouterr().err


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_help_page(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([family, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: holdfast {family}")


def test_the_help_page_tells_what_exit_statuses_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "3  something that should answer does not" in capsys.readouterr().out


def test_validate_says_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.json"
    file.write_bytes(msgspec.json.encode(site_bundle()))
    assert main(["bundle", "validate", str(file)]) == 0
    assert capsys.readouterr().out.startswith("valid: version 1 of site hq, 4 users")


def test_validate_lists_every_problem_and_says_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.json"
    file.write_bytes(b'{"version": 0}')
    assert main(["bundle", "validate", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert [one["path"] for one in told["problems"]] == ["version", "site", "zones"]
    assert main(["bundle", "validate", str(file)]) == 1
    assert "3 problems" in capsys.readouterr().out
    assert main(["bundle", "show", str(file)]) == 2
    assert main(["bundle", "validate", str(tmp_path / "none")]) == 2


def test_asking_the_status_imports_none_of_the_processes() -> None:
    script = (
        "import sys; from appliance.cli.command import main\n"
        "try: main(['status', '--help'])\n"
        "except SystemExit: print({'aiohttp', 'sqlite_utils', 'uvloop'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n")


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Holdfast site bundle"


def test_sample_writes_a_valid_site_and_its_phones(tmp_path: Path) -> None:
    words = ["bundle", "sample", "--users", "30", "--contacts", "20", "--out", str(tmp_path)]
    assert main(words) == 0
    made = decode((tmp_path / "site.json").read_bytes())
    phones = (tmp_path / "phones.csv").read_text().splitlines()
    assert phones[0] == "user,extension,username,realm,password,domain,mac,model"
    assert len(phones) == 31
    assert len(made.contacts) == 20
    before = (tmp_path / "site.json").read_bytes()
    assert main(words) == 0
    assert (tmp_path / "site.json").read_bytes() == before


def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "site.json"
    file.write_bytes(msgspec.json.encode(site_bundle()))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["bundle", "validate", str(file)])
    assert "\x1b[32mvalid\x1b[0m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["bundle", "validate", str(file)])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "never"),
        (-5, "0 s"),
        (59.9, "59 s"),
        (300, "5 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_ages_as_people_say_them(seconds: float | None, text: str) -> None:
    assert age(seconds) == text
