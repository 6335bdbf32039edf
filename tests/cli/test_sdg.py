"""Groups from the command line: listed, checked and walked without a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle
from appliance.cli.command import main
from appliance.cloud.sample import make_sample
from tests.sdg.office import group, with_groups


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("site"), make_sample(users=60, contacts=1).bundle)


def written(folder: Path, bundle: Bundle) -> Path:
    file = folder / "bundle.json"
    file.write_bytes(msgspec.json.encode(bundle))
    return file


def walked(site: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["sdg", "test", *words, "--bundle", str(site), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["steps"]  # type: ignore[no-any-return]


def test_a_walk_shows_each_step_with_its_outcome(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["7090", "--from", "1005", "--at", "2026-12-22 09:00", "--keys", "9,1"]
    more = ["--busy", "1004", "--unregistered", "1007,1010", "--bundle", str(site)]
    assert main(["sdg", "test", *words, *more]) == 0
    assert capsys.readouterr().out.splitlines()[:12] == [
        "1005 calls 7090 (Main menu) at 2026-12-22 09:00 CST",
        "     0 s  group Main menu (7090)",
        "     0 s  play welcome and wait for keys → keys 9",
        "     0 s  9 leads nowhere",
        "     0 s  play invalid-choice, welcome and wait for keys → keys 1",
        "     3 s  1 leads to 7000 (Sales)",
        "     3 s  group Sales (7000)",
        "     3 s  open: tue 2026-12-22 09:00 CST",
        "     3 s  passed over: 1004 (on another call), 1007 (no phone here), 1010 (no phone here)",
        "     3 s  ring 1001, 1013, 1016, 1019, 1022 together for 20 s, the caller hears music"
        " → no answer",
        "    23 s  nobody answered: on to 7089",
        "    23 s  group Reception (7089)",
    ]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2026-12-25 09:00", "closed: fri 2026-12-25 09:00 CST, a holiday"),
        ("2030-11-29 09:00", "closed: fri 2030-11-29 09:00 CST, Thanksgiving"),
        ("2026-12-24 11:00", "open: thu 2026-12-24 11:00 CST, a special day"),
        ("2026-12-24 13:00", "closed: thu 2026-12-24 13:00 CST, a special day"),
        ("2026-12-22T15:00:00+00:00", "open: tue 2026-12-22 09:00 CST"),
    ],
)
def test_hours_are_those_of_then(
    site: Path, capsys: pytest.CaptureFixture[str], at: str, why: str
) -> None:
    assert walked(site, capsys, "7000", "--at", at)[1]["step"] == why


def test_somebody_answers(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = walked(site, capsys, "7001", "--at", "2026-12-22 09:00", "--answers", "1005")
    assert [step["outcome"] for step in steps[-2:]] == ["no answer", "answered by 1005"]
    assert steps[-1]["after"] == 15


def test_an_extension_and_a_name_are_dialled(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = walked(site, capsys, "7090", "--keys", "1003", "--answers", "1003")
    assert steps[-1]["outcome"] == "answered by 1003"
    steps = walked(site, capsys, "+13125550000", "--keys", "*,99999999#")
    assert "99999999#: nobody has such a name" in [step["step"] for step in steps]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["7999"], "no group has the extension or number '7999'; there are: 7000, 7001"),
        (["7000", "--at", "tomorrow"], "'tomorrow' is no time; write it like '2026-12-25 09:00'"),
        (["7000", "--keys", "1,2a"], "'2a' are no keys of a phone"),
        (["7000", "--busy", "9"], "no user has the extension '9'"),
        (["7000", "--from", "7001"], "no user has the extension '7001'"),
    ],
)
def test_what_cannot_be_walked_is_said(
    site: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["sdg", "test", *words, "--bundle", str(site)]) == 2
    assert told in capsys.readouterr().err


def test_the_stored_bundle_is_used_where_none_is_named(
    site: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["sdg", "list", "--at", "2026-12-25 09:00"]
    assert main(["--data", str(site.parent), *words]) == 0
    listed = capsys.readouterr().out
    assert "7000       Sales      members  8 members, simultaneous" in listed
    assert main(["--data", str(tmp_path), *words]) == 2
    assert "name a bundle with --bundle" in capsys.readouterr().err


def test_the_list_says_what_is_open_and_what_follows(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sdg", "list", "--bundle", str(site), "--at", "2026-12-25 09:00", "--json"]
    assert main(words) == 0
    sales = json.loads(capsys.readouterr().out)[0]
    assert (sales["open"], sales["why"]) == ("no", "fri 2026-12-25 09:00 CST, a holiday")
    places = {"closed": "7091", "no_answer": "7089", "busy": "7092", "empty": "7089"}
    assert sales["next"] == places


def test_check_points_out_dead_ends_with_the_way_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = with_groups(
        group("7000", kind="menu", keys={"1": "7001"}, overflow="1001", numbers=("+13125550123",)),
        group("7001", members="1002", overflow="7002"),
        group("7002", kind="number", number="+13125550100"),
    )
    assert main(["sdg", "check", str(written(tmp_path, bundle))]) == 0
    told = capsys.readouterr().out.splitlines()
    way = "callers {}end here: 7000 → 7001 → 7002"
    no_trunk = way.format("") + "; there are no `route_groups` to take them outside"
    assert told == [
        f"groups[2].number: {no_trunk}",
        f"groups[2]: {way.format('whom nobody answers ')}; give it an `overflow`",
        "valid: 3 groups, no circle, 2 dead ends",
    ]


def test_check_refuses_a_circle_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circle = [group(f"700{n}", members="1002", empty=f"700{(n + 1) % 3}") for n in range(3)]
    assert main(["sdg", "check", str(written(tmp_path, with_groups(*circle)))]) == 1
    out = capsys.readouterr().out
    assert "groups[2].empty: callers go round: 7000 → 7001 → 7002 → 7000" in out
