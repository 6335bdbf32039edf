"""The page for admins: its bundle is a bundle, and its commands print what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from appliance.bundle import decode, warnings
from appliance.cli.command import main
from tests.phones import site_bundle

PAGE = Path(__file__).parents[2] / "docs" / "groups.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    plain = msgspec.to_builtins(site_bundle()) | msgspec.json.decode(blocks("json")[0])
    plain["site"]["time_zone"] = "America/Chicago"
    file = tmp_path / "site.json"
    file.write_bytes(msgspec.json.encode(plain))
    return file


def test_the_example_is_a_bundle_without_a_doubt(site: Path) -> None:
    assert warnings(decode(site.read_bytes())) == []


@pytest.mark.parametrize("block", blocks("console"))
def test_a_command_prints_what_the_page_says(
    block: str, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.parent)
    command, printed = block.split("\n", 1)
    assert main(shlex.split(command.removeprefix("$ holdfast "))) == 0
    assert capsys.readouterr().out == printed
