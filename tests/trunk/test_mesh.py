"""Sites that call each other without a server between them (F1): a real core for each."""

from __future__ import annotations

from appliance.bundle import Forwarding
from appliance.sip.message import Request
from tests.phones import sdp
from tests.trunk.mesh import Mesh, talk


def test_sites_tell_each_other_their_mode_at_once() -> None:
    mesh = Mesh()
    row = mesh.row("west", "east")
    assert (row["state"], row["mode"], row["way"]) == ("up", "survivability", "direct")
    mesh.benches["east"].zones_up = True
    mesh.advance(6)
    assert mesh.row("west", "east")["mode"] == "recovering"
    mesh.advance(301)
    assert mesh.benches["east"].mode == "standby"
    row = mesh.row("west", "east")
    assert (row["mode"], row["way"]) == ("standby", "none")
    mesh.benches["east"].zones_up = False
    mesh.benches["east"].advance(16)
    assert mesh.row("west", "east")["mode"] == "survivability", "told without being asked"


def test_only_sites_are_told_the_mode() -> None:
    mesh = Mesh()
    mesh.advance(60)
    assert b"Holdfast-Mode: survivability" in mesh.tells("west", "east")
    assert not any(b"Holdfast" in data for data in mesh.sbcs["west"].seen)
    mesh.sbcs["west"].send(mesh.sbcs["west"].request("OPTIONS", "sip:holdfast"))
    alice = mesh.phones["811001"]
    alice.send(alice.request("OPTIONS", "sip:holdfast"))
    for told in (mesh.sbcs["west"].take(), alice.take()):
        assert all("Holdfast" not in name for message in told for name, _ in message.headers)


def test_a_call_between_sites_is_one_call_at_each_and_ends_at_both() -> None:
    mesh = Mesh()
    alice, bob = mesh.phones["811001"], mesh.phones["821002"]
    call = talk(alice, "821002", bob)
    assert mesh.calls() == [1, 1]
    assert mesh.row("west", "east")["calls"] == mesh.row("east", "west")["calls"] == 1
    call.from_caller("BYE")
    assert bob.expect("BYE")
    bob.answer(call.incoming, 200)
    assert mesh.calls() == [0, 0]
    west, east = mesh.benches["west"].record, mesh.benches["east"].record
    assert (west.callee, east.caller) == ("821002", "811001")


def test_while_the_users_of_a_site_are_with_their_cloud_the_trunk_carries_by_policy() -> None:
    mesh = Mesh(peers={"east": {"numbers": "+141455"}})
    mesh.benches["east"].zones_up = True
    mesh.advance(320)
    assert mesh.row("west", "east")["way"] == "trunk"
    before = len(mesh.cables["west", "east"].seen)
    alice = mesh.phones["811002"]
    alice.register()
    alice.invite("8251234")
    onward = mesh.sbcs["west"].expect("INVITE")
    assert onward.uri.startswith("sip:+14145551234@")
    assert len(mesh.cables["west", "east"].seen) == before, "east was not asked in vain"
    steps = " ".join(mesh.benches["west"].record_of_the_only_call().steps)
    assert "the users of east are with their cloud: over the trunk" in steps


def test_without_a_number_of_the_trunk_the_caller_is_told_why() -> None:
    mesh = Mesh()
    mesh.benches["east"].zones_up = True
    mesh.advance(320)
    alice = mesh.phones["811001"]
    alice.register()
    alice.invite("821001")
    assert alice.responses()[-1] == 503
    steps = " ".join(mesh.benches["west"].record.steps)
    assert "the site east takes no calls now, and no trunk leads there" in steps


def test_a_site_that_is_lost_takes_nobody_with_it() -> None:
    mesh = Mesh("west", "east", "north", "south")
    mesh.dead.add("east")
    talk(mesh.phones["811001"], "831001", mesh.phones["831001"])
    talk(mesh.phones["841001"], "811002", mesh.phones["811002"])
    talk(mesh.phones["831002"], "841002", mesh.phones["841002"])
    mesh.advance(60)
    row = mesh.row("west", "east")
    assert (row["state"], row["reason"]) == ("down", "no answer in 4 s")
    assert row["last_error"]["text"] == "no answer in 4 s"  # type: ignore[index]
    assert all(mesh.row("west", other)["state"] == "up" for other in ("north", "south"))
    mesh.dead.clear()
    mesh.advance(60)
    assert mesh.row("west", "east")["state"] == "up"


def test_a_site_that_is_silent_all_at_once_is_passed_over_for_the_trunk() -> None:
    mesh = Mesh(peers={"east": {"numbers": "+1414555"}})
    mesh.dead.add("east")
    alice = mesh.phones["811001"]
    alice.invite("821234")
    assert not mesh.sbcs["west"].requests(), "nobody knows yet that east is gone"
    mesh.advance(5)
    uris = {request.uri for request in mesh.sbcs["west"].requests()}
    assert {uri.partition("@")[0] for uri in uris} == {"sip:+14145551234"}
    mesh.advance(4)
    assert mesh.row("west", "east")["state"] == "failing"


def test_a_site_that_is_back_is_called_at_once() -> None:
    mesh = Mesh()
    mesh.dead.add("east")
    mesh.advance(60)
    assert mesh.row("west", "east")["state"] == "down"
    mesh.dead.clear()
    mesh.advance(2)
    mesh.benches["east"].core.trunk.peering.changed(mesh.benches["east"].now)
    mesh.deliver()
    mesh.benches["east"].perform(mesh.benches["east"].core.expire(mesh.benches["east"].now))
    assert mesh.row("west", "east")["state"] == "up", "it has asked, so it was asked in turn"


def test_sites_that_cannot_hear_the_answers_do_not_ask_without_end() -> None:
    mesh = Mesh()
    west, flow = mesh.benches["west"], mesh.cables["east", "west"].flow
    mesh.dead.add("east")
    mesh.advance(60)
    before = mesh.tells("west", "east").count(b"OPTIONS sip:")
    for number in range(50):
        asked = mesh.phones["811001"].request("OPTIONS", "sip:x", call_id=f"again{number}")
        west.perform(west.core.receive(asked.encode(), flow, west.now))
    assert mesh.tells("west", "east").count(b"OPTIONS sip:") <= before + 1


def test_forwardings_between_sites_that_lead_back_end_where_they_began() -> None:
    mesh = Mesh(
        "west",
        "east",
        "north",
        forwardings={
            "811001": Forwarding(always="821001"),
            "821001": Forwarding(always="831001"),
            "831001": Forwarding(always="811001"),
        },
    )
    bob = mesh.phones["811002"]
    bob.invite("1001")
    assert bob.responses()[-1] == 482
    invites = [mesh.tells(*way).count(b"INVITE sip:") for way in mesh.cables]
    assert sum(invites) == 3, "round once and no more"
    assert b"Holdfast-Passed: 811001, 821001, 831001" in mesh.tells("north", "west")


def test_a_call_may_come_back_to_its_site_where_it_goes_to_somebody_else() -> None:
    mesh = Mesh(forwardings={"821001": Forwarding(always="811002")})
    alice, bob = mesh.phones["811001"], mesh.phones["811002"]
    talk(alice, "821001", bob)
    assert mesh.calls() == [2, 1]


def test_a_way_longer_than_calls_go_is_refused() -> None:
    mesh = Mesh()
    call = _from_east(mesh, "1001", passed=", ".join(f"83{n}" for n in range(41)))
    assert call == [482]
    assert _from_east(mesh, "1001", passed=", ".join(["not a number", "<>", "811001x"])) == [100]
    mesh.phones["811001"].expect("INVITE")


def _from_east(mesh: Mesh, dialled: str, passed: str) -> list[int]:
    """Have east say something of its own; return what it was answered."""
    cable, bench = mesh.cables["east", "west"], mesh.benches["west"]
    request = Request(
        "INVITE",
        f"sip:{dialled}@192.0.2.10",
        [
            ("Via", "SIP/2.0/TLS 198.51.100.82:5061;branch=z9hG4bKlie" + str(len(passed))),
            ("Max-Forwards", "5"),
            ("From", "<sip:821001@198.51.100.82>;tag=lie"),
            ("To", f"<sip:{dialled}@192.0.2.10>"),
            ("Call-ID", f"lie{len(passed)}"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:198.51.100.82:5061;transport=tls>"),
            ("Content-Type", "application/sdp"),
            ("Holdfast-Passed", passed),
        ],
        sdp("198.51.100.82"),
    )
    back = mesh.cables["west", "east"]
    before = len(back.seen)
    bench.perform(bench.core.receive(request.encode(), cable.flow, bench.now))
    return [int(data.split()[1]) for data in back.seen[before:] if data.startswith(b"SIP/2.0")]
