"""What admins are shown of the phones, a page at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.phones import Bench


def page(bench: Bench, **asked: Any) -> tuple[int, list[str]]:
    answer, _ = bench.core.command("phones.page", asked, bench.now)
    return answer["total"], [row["extension"] for row in answer["rows"]]


def office() -> Bench:
    bench = Bench.in_outage()
    bench.registered("1002", "1004")
    return bench


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, (5, ["1001", "1002", "1003", "1004", "1005"])),
        ({"state": "registered"}, (2, ["1002", "1004"])),
        ({"state": "missing"}, (3, ["1001", "1003", "1005"])),
        ({"state": "missing", "limit": 1, "offset": 1}, (3, ["1003"])),
        ({"search": "USER 1004"}, (1, ["1004"])),
        ({"search": "1005"}, (1, ["1005"])),
        ({"search": "nobody"}, (0, [])),
        ({"offset": 10}, (5, [])),
    ],
)
def test_a_page_has_the_rows_that_are_asked_for_and_tells_how_many_there_are(
    asked: dict[str, Any], told: tuple[int, list[str]]
) -> None:
    assert page(office(), **asked) == told


def test_a_phone_is_found_by_its_address() -> None:
    bench = office()
    phone = bench.registered("1003")[0]
    total, found = page(bench, search=phone.host)
    assert "1003" in found
    assert total >= 1


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"state": "x"}])
def test_a_page_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        page(office(), **asked)


def test_readiness_in_parts_is_readiness() -> None:
    bench = office()
    whole, _ = bench.core.command("readiness", {}, bench.now)
    lines, offset = [], 0
    while offset is not None:
        asked = {"offset": offset, "limit": 2}
        part, _ = bench.core.command("readiness.part", asked, bench.now)
        lines += part["lines"]
        offset = part["next"]
    assert (lines, len(lines)) == (whole, 5)


def test_without_a_bundle_there_is_nobody() -> None:
    bench = Bench()
    bench.core.switchboard.site = None
    assert page(bench) == (0, [])
