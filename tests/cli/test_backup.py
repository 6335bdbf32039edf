"""`holdfast backup` and `restore`: an appliance that is lost comes back on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.command import main
from tests.cli.appliance import Appliance
from tests.cloud.test_sync import bundle

PHRASE = "three blind mice\n"


def test_a_lost_appliance_comes_back_on_another_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    phrase, file = tmp_path / "phrase", tmp_path / "site.backup"
    phrase.write_text(PHRASE)
    (tmp_path / "site.json").write_bytes(bundle(7))
    words = ("--passphrase-file", str(phrase))
    lost = Appliance(tmp_path / "one")
    try:
        assert lost.run("bundle", "apply", str(tmp_path / "site.json")) == 0
        assert lost.run("account", "add", "maria", "operator") == 0
        assert lost.run("backup", str(file), *words) == 0
        assert ("store.snapshot", {}) in lost.core.asked
        assert file.stat().st_mode & 0o777 == 0o600
        assert lost.run("backup", str(file), *words) == 2  # nothing is written over
        assert lost.run("restore", str(file), *words) == 2
        assert "Holdfast runs; stop it first" in capsys.readouterr().err
    finally:
        lost.close()
    assert b"maria" not in file.read_bytes()
    settings = tmp_path / "two" / "holdfast.toml"
    settings.write_text(f'data = "{tmp_path}/two"\nrun = "{tmp_path}/two"\nadmin_port = 1\n')
    phrase.write_text("three blind cats\n")
    assert main(["--settings", str(settings), "restore", str(file), *words]) == 2
    assert "the passphrase is wrong" in capsys.readouterr().err
    phrase.write_text(PHRASE)
    assert main(["--settings", str(settings), "restore", str(file), *words]) == 0
    found = Appliance(tmp_path / "two")
    try:
        capsys.readouterr()
        assert found.run("account", "list") == 0
        assert "maria" in capsys.readouterr().out
        assert found.run("bundle", "show") == 0
        assert "version 7" in capsys.readouterr().out
        assert found.run("audit") == 0
        assert "account.add" in capsys.readouterr().out
    finally:
        found.close()
