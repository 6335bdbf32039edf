"""Where Debian comes from: this machine's package sources, turned to the appliance's release."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from pathlib import Path

from image.commands import BuildError

APT = Path("/etc/apt")
RELEASE = "trixie"
ONE_LINE = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$")
SUITES = ("stable", "oldstable", "testing")
"""Other names that the machine's own release may have in its sources."""


def debian_sources(apt: Path = APT) -> str:
    """Return apt's sources for the release; raises BuildError where this machine has none."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    found = dict.fromkeys(
        f"deb {place} {RELEASE}{ending} main\n"
        for place, suite in entries(apt)
        if (ending := _ending(suite, codename)) is not None
    )
    if not found:
        raise BuildError(f"{apt} has no source of Debian {codename or '(unknown)'}, component main")
    return "".join(found)


def entries(apt: Path) -> Iterator[tuple[str, str]]:
    """Yield place and suite of each source that has the component main, of both formats."""
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        lines = file.read_text().splitlines() if file.exists() else []
        for line in lines:
            found = ONE_LINE.match(line.strip())
            if found and "main" in found[3].split():
                yield found[1], found[2]
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", file.read_text()):
            yield from _paragraph(paragraph)


def _paragraph(text: str) -> Iterator[tuple[str, str]]:
    """Read one paragraph of a deb822 file, whose fields may go on in lines that begin blank."""
    whole = re.sub(r"\n[ \t]+", " ", re.sub(r"(?m)^#.*\n?", "", text))
    pairs = (line.partition(":") for line in whole.splitlines())
    fields = {name.strip().lower(): value.split() for name, _, value in pairs}
    off = fields.get("enabled", ["yes"])[:1] in (["no"], ["false"])
    if off or "deb" not in fields.get("types", []) or "main" not in fields.get("components", []):
        return
    for place in fields.get("uris", []):
        for suite in fields.get("suites", []):
            yield place, suite


def _ending(suite: str, codename: str) -> str | None:
    """Return what comes after the release's name in a suite of this machine; None: not Debian's."""
    name, dash, ending = suite.partition("-")
    known = name in (codename, RELEASE, *SUITES) and ending in ("", "updates", "security")
    return dash + ending if known else None
