"""`holdfast bundle`: keys and signatures, what is held, and going back."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.command import main
from appliance.cloud.signature import PinnedKeys
from tests.cli.appliance import Appliance
from tests.cloud.test_sync import bundle


def write(folder: Path, version: int, users: int) -> str:
    file = folder / f"{version}.json"
    file.write_bytes(bundle(version, users))
    return str(file)


def test_a_bundle_is_signed_with_a_key_made_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, out = tmp_path / "bundle.key", tmp_path / "signed.json"
    assert main(["bundle", "keygen", str(key)]) == 0
    public = capsys.readouterr().out.split('"')[1]
    assert key.stat().st_mode & 0o777 == 0o600
    assert main(["bundle", "keygen", str(key)]) == 2  # it is not written over
    source = write(tmp_path, 1, 4)
    assert main(["bundle", "sign", source, "--key", str(key), "--out", str(out)]) == 0
    assert PinnedKeys([public]).signer(out.read_bytes())
    assert main(["bundle", "validate", str(out)]) == 0


def test_what_is_held_is_shown_released_and_rolled_back(
    appliance: Appliance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("bundle", "held") == 1
    assert appliance.run("bundle", "apply", write(tmp_path, 11, 10)) == 0
    capsys.readouterr()
    assert appliance.run("bundle", "apply", write(tmp_path, 12, 2)) == 1
    assert "users: 8 of 10 would be removed" in capsys.readouterr().out
    assert appliance.run("bundle", "held") == 0
    assert "users.user1009" in capsys.readouterr().out
    assert appliance.run("bundle", "release", "12") == 0
    assert "version 12 is in force" in capsys.readouterr().out
    assert appliance.run("bundle", "history") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "11"
    assert appliance.run("bundle", "rollback", "11") == 0
    assert appliance.run("bundle", "changes", "12") == 0
    assert "users.user1009" in capsys.readouterr().out
