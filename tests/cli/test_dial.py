"""`holdfast dial test` and `holdfast trunk`: words in, text and exit status out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from appliance.bundle import NumberPlan, Peer
from appliance.cli.command import main
from tests.cli.appliance import Appliance
from tests.trunk.outside import trunk_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    file = tmp_path / "bundle.json"
    plan = NumberPlan(outside_prefix="9", blocked=("+1512",), site_number="+13125550000")
    peers = (
        Peer(site="east", code="82", host="east.example.com", numbers="+1414555"),
        Peer(site="north", code="83", host="north.example.com"),
    )
    made = replace(trunk_bundle(), number_plan=plan, peers=peers)
    file.write_bytes(msgspec.json.encode(made))
    return str(file)


@pytest.mark.parametrize(
    ("dialled", "status", "lines"),
    [
        (
            "9011442079460000",
            0,
            [
                "outside prefix 9: 011442079460000 is dialled outside",
                "011442079460000 is +442079460000, international",
                "User 1001 may call international numbers",
                "shown as +13125551001",
                "by route group main",
            ],
        ),
        ("1002", 0, ["rings User 1002 (1002) here"]),
        ("93125551002", 0, ["+13125551002, national", "rings User 1002 (1002) here"]),
        ("95125550199", 1, ["refused with 403: numbers that begin with +1512 are blocked"]),
        ("919005551234", 1, ["refused with 403: User 1001 may not call premium-rate numbers"]),
        ("5125550199", 1, ["is no number outside; outside numbers are dialled with 9 before"]),
        ("911", 0, ["calls for help: 911"]),
        (
            "821234",
            0,
            [
                "821234 is extension 1234 at the site east",
                "goes there directly while east serves its users itself",
                "over the trunk, as +14145551234, while they are with their cloud:",
                "User 1001 may call national numbers",
                "shown as +13125551001",
            ],
        ),
        (
            "831234",
            0,
            [
                "831234 is extension 1234 at the site north",
                "refused with 503 while they are with their cloud: no trunk leads there",
            ],
        ),
        ("811002", 0, ["rings User 1002 (1002) here"]),
    ],
)
def test_every_rule_is_printed(
    bundle: str,
    dialled: str,
    status: int,
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dial", "test", "1001", dialled, "--bundle", bundle]) == status
    text = capsys.readouterr().out
    for line in lines:
        assert line in text


def test_it_is_told_as_json(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["dial", "test", "1001", "9011442079460000", "--bundle", bundle, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["number"] == "+442079460000"
    assert (told["kind"], told["shown"], told["refused"]) == ("international", "+13125551001", "")


def test_the_trunk_shows_why_an_sbc_is_down_and_who_is_stopped(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("trunk") == 1
    text = capsys.readouterr().out
    for words in ("pstn/sbc1.example.net:5061", "certificate has expired", "0/60", "more than 10"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["drain", "pstn/sbc1"], ("trunk.drain", {"sbc": "pstn/sbc1"})),
        (["resume", "pstn/sbc1"], ("trunk.resume", {"sbc": "pstn/sbc1"})),
        (["release", "1001"], ("trunk.release", {"extension": "1001"})),
    ],
)
def test_what_is_changed_is_asked_of_core(
    appliance: Appliance, words: list[str], asked: tuple[str, dict[str, str]]
) -> None:
    appliance.run("trunk", *words, "--json")
    assert asked in appliance.core.asked


def test_who_is_nobody_dials_nothing(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dial", "test", "9999", "1002", "--bundle", bundle]) == 2
    assert "no user with the extension '9999'" in capsys.readouterr().err
