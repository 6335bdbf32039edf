"""RFC 4475 against the whole core: what each message is answered, as the manifest says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.sip.message import Response
from tests.phones import Bench

DATA = Path(__file__).parent / "data"
MESSAGES: list[dict[str, Any]] = json.loads((DATA / "manifest.json").read_text())["messages"]


def verdict(answers: list[int]) -> set[str]:
    """Name what came back in the manifest's words."""
    final = [status for status in answers if status >= 200]
    if not final:
        return {"drop"}
    words = {str(status) for status in final}
    if not words & {"400", "500"}:
        words.add("accept")
    return words


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["file"])
def test_the_core_answers_as_expected(message: dict[str, Any]) -> None:
    bench = Bench.in_outage()
    phone = bench.phone("1001")
    data = (DATA / message["file"]).read_bytes()
    bench.perform(bench.core.receive(data, phone.flow, bench.now))
    bench.advance(40)
    sent = [m.status for m in phone.inbox if isinstance(m, Response)]
    for action in bench.unsent:  # no rport: the answer goes to the port the Via names
        assert action.flow.remote[0] == phone.flow.remote[0]
        sent.append(int(action.data.split(b" ", 2)[1]))
    expected = set(message["expect"])
    if message["kind"] == "response":
        assert sent == []
    else:
        assert verdict(sent) & expected, (sent, expected)
    assert len(bench.core.switchboard.location) == 0
