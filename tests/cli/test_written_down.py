"""Completion and man page: every command is in them, and bash completes as it should."""

from __future__ import annotations

import subprocess

import pytest

from appliance.cli.command import FAMILIES, main


def completed(script: str, *words: str) -> set[str]:
    """Return what bash offers for the last of these words."""
    line = " ".join(f'"{word}"' for word in words)
    ask = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _holdfast\n"
    done = subprocess.run(
        ["bash", "-c", ask + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 0
    script = capsys.readouterr().out
    assert completed(script, "holdfast", "").issuperset(FAMILIES)
    assert completed(script, "holdfast", "tru") == {"trunk"}
    assert completed(script, "holdfast", "bundle", "ro") == {"rollback"}
    assert completed(script, "holdfast", "--data", "x", "bundle", "sign", "--k") == {"--key"}
    assert "--json" in completed(script, "holdfast", "trunk", "drain", "sbc1", "--")


def test_the_man_page_has_every_command_and_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual"]) == 0
    page = capsys.readouterr().out
    for name in FAMILIES:
        assert f".B holdfast {name}" in page
    assert ".B holdfast bundle rollback" in page
    assert "%(default)s" not in page
    assert all(not line.startswith("'") for line in page.splitlines())
