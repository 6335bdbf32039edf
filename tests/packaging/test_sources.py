"""Debian for the image comes from where this machine has it, whatever form that is written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from image.commands import BuildError
from image.sources import debian_sources

DEB822 = """Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib

Types: deb
URIs: http://other.example/tool
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_both_formats_are_read_and_only_debian_itself_is_taken(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    (apt / "sources.list").write_text(
        "# deb http://no.example/debian bookworm main\n"
        "deb [signed-by=/k] http://sec.example/s bookworm-security main\n"
        "deb http://cloud.example/apt cloud-sdk-bookworm main\n"
        "deb http://mirror.example/debian stable contrib\n"
    )
    assert debian_sources(apt).splitlines() == [
        "deb http://sec.example/s trixie-security main",
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
    ]


def test_a_machine_without_debian_is_told_so(apt: Path) -> None:
    with pytest.raises(BuildError, match="has no source of Debian bookworm"):
        debian_sources(apt)
