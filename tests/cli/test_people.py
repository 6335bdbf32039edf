"""Accounts, tokens and the audit log by command."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance


def test_an_account_is_made_changed_and_removed(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("account", "add", "Zoe", "auditor") == 0
    told = capsys.readouterr().out
    assert "zoe logs in once with the password " in told
    assert appliance.run("account", "role", "zoe", "operator") == 0
    assert appliance.run("account", "reset", "zoe", "--json") == 0
    given = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert given["password"] not in told
    assert appliance.run("account", "list") == 0
    assert "zoe    operator  one-time, not used yet" in capsys.readouterr().out
    assert appliance.run("account", "remove", "zoe") == 0
    assert appliance.run("account", "remove", "zoe") == 2
    assert "there is no account 'zoe'" in capsys.readouterr().err


def test_a_token_is_made_listed_and_removed(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("token", "add", "monitoring", "--scopes", "metrics, read") == 0
    assert capsys.readouterr().out.startswith("hf_")
    assert appliance.run("token", "list", "--json") == 0
    [made] = json.loads(capsys.readouterr().out)
    assert (made["name"], made["scopes"]) == ("monitoring", ["metrics", "read"])
    assert appliance.run("token", "remove", made["id"]) == 0
    assert appliance.run("token", "add", "x", "--scopes", "all") == 2


def test_the_audit_log_names_the_command_line(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.run("account", "add", "bo", "auditor")
    capsys.readouterr()
    assert appliance.run("audit", "--limit", "1") == 0
    shown = capsys.readouterr().out
    assert "command line" in shown
    assert "account.add  bo" in shown
