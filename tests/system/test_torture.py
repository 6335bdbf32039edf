"""RFC 4475 over the wire, UDP and TCP, against the running appliance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.network import APPLIANCE
from tests.system.sip import Line
from tests.system.site import System, site_in_outage

DATA = Path(__file__).parent.parent / "torture" / "data"
MESSAGES: list[dict[str, Any]] = json.loads((DATA / "manifest.json").read_text())["messages"]
QUIET = 0.4
"""Seconds without a further answer after which there will be none."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("torture"), 1) as system:
        yield system
        assert system.holdfast("status")["faults"] == 0


def answers(site: System, transport: str, data: bytes) -> list[int]:
    """Send a message from the port its Via names, where the answers arrive; give the final ones."""
    line = Line(site.phone(0), transport, (APPLIANCE, 5060), port=via_port(data))
    try:
        line.send(data)
        statuses = []
        while (answer := line.receive(QUIET)) is not None:
            statuses.append(answer.status)
        return [status for status in statuses if status >= 200]
    finally:
        line.reset()


def via_port(data: bytes) -> int:
    """Give the port of the topmost Via (RFC 3261, 18.2.2)."""
    found = re.search(rb"(?im)^(?:via|v)[ \t]*:[^,;\r]*?:(\d+)[ ;,\r]", data)
    return int(found.group(1)) if found and 0 < int(found.group(1)) < 65536 else 5060


def ends_in_stream(data: bytes) -> bool:
    """Tell whether a stream's reader could know where the message ends."""
    head, blank, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
    return bool(blank) and (found is None or int(found.group(1)) <= len(body))


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message["file"]))
def test_a_torture_message_is_answered_as_expected(
    site: System, message: dict[str, Any], transport: str
) -> None:
    data = (DATA / message["file"]).read_bytes()
    statuses = answers(site, transport, data)
    expected = set(message["expect"])
    if message["kind"] == "response" or (transport == "TCP" and not ends_in_stream(data)):
        assert statuses == []
        return
    words = {str(status) for status in statuses} or {"drop"}
    if statuses and not words & {"400", "500"}:
        words.add("accept")
    assert words & expected, (statuses, expected)
