"""Sites that call each other by site code and extension (F1): two real cores on one clock."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.bundle import Bundle, Forwarding, Peer, Site
from appliance.errors import LocalError
from appliance.sip.flow import Flow
from appliance.sip.message import Request, Response
from tests.phones import DOMAIN, HOLDFAST, sdp
from tests.trunk.outside import SbcPeer, Trunked, trunk_bundle

EAST = Peer(site="east", code="82", host="holdfast.east.example.com", srtp="off")
EAST_FLOW = Flow("TLS", (HOLDFAST, 5061), ("198.51.100.82", 5061), 0, EAST.host)


def with_peer(peer: Peer = EAST, **users: Forwarding) -> Bundle:
    bundle = trunk_bundle()
    changed = tuple(
        replace(one, forwarding=users.get(f"u{one.extension}", one.forwarding))
        for one in bundle.users
    )
    site = Site(id="west", name="West", code="81", domain=DOMAIN, realm=DOMAIN)
    return replace(bundle, site=site, users=changed, peers=(peer,))


class Two:
    """Our site, and another one played by the test."""

    def __init__(self, bundle: Bundle | None = None) -> None:
        self.site = Trunked(bundle or with_peer())
        self.bench = self.site.bench
        self.east = SbcPeer(self.bench, EAST.host, EAST_FLOW)
        self.bench.phones[EAST_FLOW] = self.east
        self.bench.places[EAST.host] = (EAST_FLOW.remote,)
        self.bench.advance(6)
        self.east.take()

    def called_from_east(self, dialled: str, caller: str = "821001") -> Request:
        return self.east.call(dialled, caller=caller)


def test_a_site_is_called_by_its_code_and_an_extension() -> None:
    two = Two()
    two.site.alice.invite("821234")
    call = two.east.expect("INVITE")
    assert call.uri == f"sip:1234@{EAST.host}"
    assert call.from_.uri.user == "811001"  # type: ignore[union-attr]
    assert call.first("Max-Forwards") == "5"
    assert not two.site.sbc.take()


def test_a_call_from_there_rings_here_and_shows_code_and_extension() -> None:
    two = Two()
    two.called_from_east("811002")
    incoming = two.site.bob.expect("INVITE")
    assert incoming.from_.uri.user == "821001"  # type: ignore[union-attr]
    two.called_from_east("1001")
    two.site.alice.expect("INVITE")


@pytest.mark.parametrize("said", ["811001", "1001", "+13125550000", "911", "82", "8x", "83999"])
def test_a_peer_speaks_for_its_own_site_only(said: str) -> None:
    two = Two()
    two.called_from_east("1002", caller=said)
    incoming = two.site.bob.expect("INVITE")
    assert incoming.from_.uri.user == "82"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "dialled", ["95125550199", "+15125550199", "821001", "911", "7777", "u1002"]
)
def test_a_peer_reaches_extensions_and_nothing_else(dialled: str) -> None:
    two = Two()
    two.called_from_east(dialled)
    assert two.east.responses() == [404]
    assert not two.site.sbc.take()


def test_calls_that_go_round_between_sites_end_after_five() -> None:
    two = Two(with_peer(u1001=Forwarding(always="821001")))
    hops = 0
    two.called_from_east("1001", caller="821009")
    while hops < 20:
        messages = two.east.take()
        onward = [m for m in messages if isinstance(m, Request) and m.method == "INVITE"]
        if not onward:
            break
        hops += 1
        again = two.east.request("INVITE", f"sip:1001@{HOLDFAST}", body=sdp("198.51.100.82"))
        left = int(onward[0].first("Max-Forwards") or "0") - 1
        again.set("Max-Forwards", str(left))
        again.set("From", f"<sip:821009@x>;tag=r{hops}")
        two.east.send(again)
    statuses = [m.status for m in messages if isinstance(m, Response)]
    assert hops <= 5
    assert 483 in statuses


def test_while_the_other_site_is_with_its_cloud_the_trunk_carries_by_policy() -> None:
    two = Two(with_peer(replace(EAST, numbers="+141455")))
    two.site.alice.invite("8251234")
    call = two.east.expect("INVITE")
    two.east.answer(call, 503, headers=[("Retry-After", "30")])
    two.east.expect("ACK")
    onward = two.site.sbc.expect("INVITE")
    assert onward.uri.startswith("sip:+14145551234@")


def test_a_site_that_dies_while_it_rings_there_is_reached_over_the_trunk() -> None:
    two = Two(with_peer(replace(EAST, numbers="+141455")))
    two.site.alice.invite("8251234")
    two.east.answer(two.east.expect("INVITE"), 180)
    two.bench.perform(two.bench.core.lost(EAST_FLOW, two.bench.now, "reset"))
    onward = two.site.sbc.expect("INVITE")
    assert onward.uri.startswith("sip:+14145551234@")


def test_without_a_policy_the_caller_is_told() -> None:
    two = Two()
    two.site.alice.invite("821234")
    two.east.answer(two.east.expect("INVITE"), 503)
    assert two.site.alice.responses()[-1] == 503
    assert "the site east takes no calls now" in " ".join(two.bench.record.steps)


def test_peers_are_watched_as_sbcs_are_and_shown_apart() -> None:
    two = Two()
    assert told(two, "peers")[0]["state"] == "up"
    two.east.options = 0
    two.bench.advance(40)
    assert told(two, "peers")[0]["state"] == "down"
    assert [row["route_group"] for row in two.site.rows()] == ["main"]
    notices = [notice for notice in two.bench.notices if notice.topic == "peers.site"]
    assert [(one.severity, one.text) for one in notices] == [
        ("info", "the site east is up: answers"),
        ("alarm", "the site east is down: no answer in 4 s"),
    ]


def test_a_site_that_nobody_can_find_is_shown_with_the_reason() -> None:
    site = Trunked(with_peer())
    rows, _ = site.bench.core.command("peers", {}, site.bench.now)
    (row,) = rows
    assert (row["state"], row["way"], row["since"]) == ("unknown", "none", None)
    assert row["reason"] == f"{EAST.host} does not exist"
    site.alice.invite("821001")
    assert site.alice.responses()[-1] == 503


def test_a_drained_site_gets_no_new_calls() -> None:
    two = Two(with_peer(replace(EAST, numbers="+141455")))
    (row,) = told(two, "peers.drain", site="east")
    assert (row["drained"], row["way"]) == (True, "trunk")
    two.site.alice.invite("8251234")
    two.site.sbc.expect("INVITE")
    assert not two.east.take()
    (row,) = told(two, "peers.resume", site="east")
    assert (row["drained"], row["way"]) == (False, "direct")


def test_a_site_nobody_knows_cannot_be_drained() -> None:
    with pytest.raises(LocalError, match="there is no site 'south'; `holdfast peers` lists them"):
        told(Two(), "peers.drain", site="south")


@pytest.mark.parametrize("said", ["", "asleep", "STANDBY", "standby, survivability"])
def test_what_is_no_mode_says_nothing(said: str) -> None:
    two = Two()
    more = [("Holdfast-Mode", "standby")]
    two.east.send(two.east.request("OPTIONS", f"sip:{HOLDFAST}", headers=more))
    assert told(two, "peers")[0]["mode"] == "standby"
    more = [("Holdfast-Mode", said)] if said else []
    two.east.send(two.east.request("OPTIONS", f"sip:{HOLDFAST}", headers=more))
    assert told(two, "peers")[0]["mode"] is None


def told(two: Two, command: str, **arguments: str) -> list[dict[str, Any]]:
    rows, actions = two.bench.core.command(command, dict(arguments), two.bench.now)
    two.bench.perform(actions)
    assert isinstance(rows, list)
    return rows


def test_two_cores_talk_to_each_other() -> None:
    west = Trunked(with_peer())
    other = replace(
        with_peer(), site=Site(id="east", name="East", code="82", domain=DOMAIN, realm=DOMAIN)
    )
    back = Peer(site="west", code="81", host="holdfast.west.example.com", srtp="off")
    east = Trunked(replace(other, peers=(back,)))
    to_east = SbcPeer(west.bench, EAST.host, EAST_FLOW)
    west.bench.phones[EAST_FLOW] = to_east
    west.bench.places[EAST.host] = (EAST_FLOW.remote,)
    flow = Flow("TLS", (HOLDFAST, 5061), ("198.51.100.81", 5061), 0, back.host)
    to_west = SbcPeer(east.bench, back.host, flow)
    east.bench.phones[flow] = to_west
    east.bench.places[back.host] = (flow.remote,)
    west.bench.advance(6)
    east.bench.advance(6)
    to_east.take()
    to_west.take()
    west.alice.invite("821002")
    call = to_east.expect("INVITE")
    to_west.send(call)
    incoming = east.bob.expect("INVITE")
    assert incoming.from_.uri.user == "811001"  # type: ignore[union-attr]
    east.bob.answer(incoming, 200, body=sdp(east.bob.host))
    for response in to_west.take():
        if isinstance(response, Response):
            to_east.send(response)
    assert west.alice.responses()[-1] == 200
