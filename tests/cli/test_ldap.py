"""`holdfast ldap` where there is nothing to serve: one line that says why, and no end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from appliance.cli import ldap
from appliance.settings import Settings


@pytest.mark.parametrize(
    ("wanted", "installed", "line"),
    [
        ("off", "/usr/sbin/slapd", "no directory over LDAP: `ldap` is off"),
        ("auto", None, "no directory over LDAP: slapd is not installed"),
    ],
)
def test_it_says_why_once_and_waits(
    wanted: str,
    installed: str | None,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ldap, "program", lambda name: installed)
    settings = Settings(data=tmp_path, run=tmp_path, ldap=wanted)  # type: ignore[arg-type]

    async def whole() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ldap.serve(settings), 0.1)

    with caplog.at_level(logging.INFO):
        asyncio.run(whole())
    assert [record.message for record in caplog.records if "LDAP" in record.message] == [line]
