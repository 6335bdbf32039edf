"""The token in the data folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.errors import Unavailable
from appliance.web.auth import ensure_token


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "admin.token"
    token = ensure_token(file)
    assert len(token) == 43
    assert mode(file) == 0o600
    assert ensure_token(file) == token


def test_two_appliances_have_two_tokens(tmp_path: Path) -> None:
    assert ensure_token(tmp_path / "a") != ensure_token(tmp_path / "b")


def test_an_empty_file_after_a_power_cut_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    file.touch()
    assert len(ensure_token(file)) == 43


def test_a_token_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "admin.token"
    file.write_text("abc\n")
    file.chmod(0o644)
    assert ensure_token(file) == "abc"
    assert mode(file) == 0o600


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        ensure_token(tmp_path)
