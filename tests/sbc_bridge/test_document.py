"""The page for admins: its bundle is a bundle without a doubt."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from appliance.bundle import decode, warnings
from tests.phones import site_bundle

PAGE = Path(__file__).parents[2] / "docs" / "emergency.md"


def test_the_example_is_a_bundle_without_a_doubt() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    plain = msgspec.to_builtins(site_bundle()) | msgspec.json.decode(example)
    assert warnings(decode(msgspec.json.encode(plain))) == []
