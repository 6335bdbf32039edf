"""The two strategies, number by number, and how a bundle changes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle, BundleError, decode
from appliance.bundle.dscp import STRATEGIES, Marks, in_force, marks, table

SITE = {"id": "s", "name": "S", "code": "821", "domain": "d.example", "realm": "d.example"}


def bundle(strategy: str | None = None, *rows: tuple[str, str, int]) -> Bundle:
    content: dict[str, Any] = {
        "version": 1,
        "site": SITE,
        "zones": [{"id": "a", "host": "a.example"}],
        "dscp": [{"traffic": t, "name": n, "value": v} for t, n, v in rows],
    }
    if strategy:
        content["policies"] = {"dscp_strategy": strategy}
    return decode(msgspec.json.encode(content))


def test_the_twelve_queues() -> None:
    assert [(row.traffic, row.name, row.value) for row in STRATEGIES["12-queue"]] == [
        ("network control", "CS6", 48),
        ("real-time telephony", "EF", 46),
        ("broadcast video", "CS5", 40),
        ("multimedia conferencing", "AF41", 34),
        ("real-time interactive", "CS4", 32),
        ("multimedia streaming", "AF31", 26),
        ("signalling", "CS3", 24),
        ("transactional", "AF21", 18),
        ("management", "CS2", 16),
        ("bulk", "AF11", 10),
        ("scavenger", "CS1", 8),
        ("best effort", "DF", 0),
    ]


def test_the_four_queues() -> None:
    assert [(row.traffic, row.name, row.value) for row in STRATEGIES["4-queue"]] == [
        ("real-time", "EF", 46),
        ("transactional", "AF31", 26),
        ("signalling", "CS3", 24),
        ("best effort", "DF", 0),
    ]


def test_twelve_queues_are_the_default_and_what_holds_before_there_is_a_bundle() -> None:
    assert marks(bundle()) == Marks() == Marks(media=46, signalling=24, management=16)


def test_four_queues_have_none_for_management() -> None:
    assert marks(bundle("4-queue")) == Marks(media=46, signalling=24, management=26)


@pytest.mark.parametrize("name", ["real-time", "Real-Time Telephony", "voice", "real_time"])
@pytest.mark.parametrize("strategy", ["4-queue", "12-queue"])
def test_a_row_is_changed_by_any_of_its_names(strategy: str, name: str) -> None:
    assert marks(bundle(strategy, (name, "VA", 44))).media == 44


def test_every_purpose_can_be_changed() -> None:
    rows = (("voice", "CS5", 40), ("signaling", "AF41", 34), ("Management/OAM", "AF11", 10))
    assert marks(bundle(None, *rows)) == Marks(40, 34, 10)
    assert marks(bundle("4-queue", ("transactional", "AF21", 18))).management == 18


def test_other_rows_stay_and_a_strange_one_marks_nothing() -> None:
    changed = bundle("4-queue", ("odd", "EF", 46), ("transactional", "AF41", 26))
    assert [(row.traffic, row.name, row.value) for row in table(changed)] == [
        ("real-time", "EF", 46),
        ("transactional", "AF41", 26),
        ("signalling", "CS3", 24),
        ("best effort", "DF", 0),
    ]


def test_what_admins_are_shown() -> None:
    shown = in_force(bundle("4-queue", ("transactional", "AF41", 26), ("odd", "EF", 46)))
    assert (shown.strategy, shown.bundle, shown.strange) == ("4-queue", 1, ["odd"])
    assert shown.marks == Marks(46, 24, 26)
    rows = {row.traffic: row for row in shown.classes}
    wrong = rows["transactional"]
    assert wrong.purposes == ("management",) and wrong.changed
    assert wrong.mismatch == "`AF41` is 34, not 26 (AF31)"
    assert rows["real-time"].purposes == ("media",) and not rows["real-time"].mismatch
    assert rows["best effort"].purposes == ()


def test_every_name_of_a_strategy_fits_its_number() -> None:
    for strategy in STRATEGIES:
        assert not any(row.mismatch or row.changed for row in in_force(bundle(strategy)).classes)


def test_without_a_bundle_the_default_is_shown() -> None:
    shown, default = in_force(None), in_force(bundle())
    assert shown.bundle is None
    assert (shown.strategy, shown.classes, shown.marks) == (
        default.strategy,
        default.classes,
        default.marks,
    )


def test_one_row_for_each_kind_of_traffic_whatever_it_is_called() -> None:
    with pytest.raises(BundleError, match="real time telephony"):
        bundle(None, ("voice", "EF", 46), ("real-time", "EF", 46))
