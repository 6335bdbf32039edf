"""Calls by name and by site code (C2, C3)."""

from __future__ import annotations

import msgspec
import pytest

from appliance.bundle import Bundle, Group
from tests.phones import Bench, site_bundle

GROUP = Group(id="g", name="Desk", extension="7000", members=("u1002",))


def bundle() -> Bundle:
    site = site_bundle()
    ana = msgspec.structs.replace(
        site.users[1], name="Ana Silva", aliases=("ana.silva",), numbers=("+13125550102",)
    )
    users = (site.users[0], ana, *site.users[2:])
    return msgspec.structs.replace(site, users=users, groups=(GROUP,))


@pytest.mark.parametrize(
    "dialled",
    ["1002", "811002", "ana.silva", "Ana.Silva", "ana%2Esilva", "+13125550102", "7000", "817000"],
)
def test_every_way_to_reach_ana(dialled: str) -> None:
    bench = Bench.in_outage(bundle())
    alice, ana = bench.registered("1001", "1002")
    alice.invite(dialled)
    ana.expect("INVITE")


@pytest.mark.parametrize("dialled", ["81", "81911", "8181", "82 1002", "ana", "ana.silva.x"])
def test_what_leads_nowhere(dialled: str) -> None:
    bench = Bench.in_outage(bundle())
    alice, _ = bench.registered("1001", "1002")
    alice.invite(dialled.replace(" ", ""))
    assert alice.responses()[-1] == 404
    bench.quiet()


def test_whoever_has_an_alias_calls_with_the_extension() -> None:
    bench = Bench.in_outage(bundle())
    alice, ana = bench.registered("1001", "1002")
    ana.invite("1001")
    assert alice.expect("INVITE").from_.uri.user == "1002"
