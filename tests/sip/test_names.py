"""Names of headers and phrases of statuses."""

from __future__ import annotations

import pytest

from appliance.errors import RemoteError
from appliance.sip.names import COMPACT, FULL, LISTS, canonical
from appliance.sip.status import REASONS, reason_of


@pytest.mark.parametrize("name", FULL)
def test_a_registered_name_in_any_spelling_is_one(name: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.swapcase(), f" {name}\t"):
        assert canonical(spelling) == name


def test_compact_forms() -> None:
    assert all(canonical(short.upper()) == canonical(short) == COMPACT[short] for short in COMPACT)
    assert set(COMPACT.values()) | LISTS <= set(FULL)


def test_an_unregistered_name_gets_capitals() -> None:
    assert canonical("x-foo-BAR") == "X-Foo-Bar"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "é", "a\r\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        canonical(name)


def test_every_status_has_a_phrase() -> None:
    assert reason_of(486) == "Busy Here"
    assert all(reason_of(status) for status in range(100, 700))
    assert all(100 <= status < 700 for status in REASONS)
