"""Location: where phones are, until they go, move or fall silent (B3)."""

from __future__ import annotations

import pytest

from appliance.call.actions import Action, DropBinding, SaveBinding
from appliance.pbx.location import Binding, Location
from appliance.sip.flow import Flow
from appliance.sip.timers import TimerQueue

OURS = ("192.0.2.254", 5060)
UDP = Flow("UDP", OURS, ("192.0.2.1", 5060))
TCP = Flow("TCP", OURS, ("192.0.2.1", 40000), 7)
TLS = Flow("TLS", OURS, ("192.0.2.1", 40001), 8)


class Site:
    """A location on a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.5
        self.actions: list[Action] = []
        self.timers = TimerQueue()
        self.location = Location(self.timers, self.actions.append)

    def add(self, user: str = "alice", flow: Flow = UDP, **fields: object) -> Binding:
        values = {
            "user": user,
            "contact": f"sip:{user}@192.0.2.1:5060",
            "flow": flow,
            "expires_at": self.now + 120,
            "granted": 120,
            "call_id": "c",
            "cseq": 1,
            "registered_at": self.now,
            **fields,
        }
        binding = Binding(**values)  # type: ignore[arg-type]
        self.location.add(binding)
        return binding

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.timers.deadline()) is not None and due <= end:
            self.now = due
            self.timers.expire(due)
        self.now = end

    def restart(self, offset: float = 0.0) -> Site:
        rows = {
            (action.aor, action.contact): action.row
            for action in self.actions
            if isinstance(action, SaveBinding)
        }
        site = Site()
        site.location.restore(tuple(rows.values()), offset, site.now)
        return site

    def dropped(self) -> list[str]:
        return [action.contact for action in self.actions if isinstance(action, DropBinding)]


def test_a_binding_is_found_by_user_and_saved() -> None:
    site = Site()
    binding = site.add()
    assert site.location.of_user("alice") == (binding,)
    assert site.location.of_user("bob") == ()
    assert (len(site.location), site.location.users()) == (1, 1)
    assert isinstance(site.actions[0], SaveBinding)


def test_an_expired_binding_is_gone_and_its_row_too() -> None:
    site = Site()
    site.add()
    site.run(119)
    assert len(site.location) == 1
    site.run(2)
    assert (len(site.location), site.location.users()) == (0, 0)
    assert site.dropped() == ["sip:alice@192.0.2.1:5060"]


def test_a_refreshed_binding_stays_and_writes_nothing() -> None:
    site = Site()
    binding = site.add()
    for _ in range(100):
        site.run(60)
        site.location.refresh(binding, UDP, 120, site.now)
    assert site.location.of_user("alice") == (binding,)
    assert len(site.actions) == 1
    site.run(121)
    assert len(site.location) == 0


def test_ten_thousand_refreshes_arm_few_timers() -> None:
    site = Site()
    bindings = [site.add(f"u{number}") for number in range(1000)]
    for _ in range(10):
        for binding in bindings:
            site.location.refresh(binding, UDP, 120, site.now)
    assert len(site.timers) == 1


def test_a_shorter_time_counts_at_once() -> None:
    site = Site()
    binding = site.add()
    site.location.refresh(binding, UDP, 30, site.now)
    site.run(32)
    assert len(site.location) == 0


def test_a_phone_that_moved_is_saved_and_found_on_its_new_flow() -> None:
    site = Site()
    binding = site.add(flow=TCP)
    site.location.refresh(binding, TLS, 120, site.now)
    assert site.location.on_flow(TCP) == ()
    assert site.location.on_flow(TLS) == (binding,)
    assert len(site.actions) == 2


def test_several_users_share_a_connection_and_lose_it_together() -> None:
    site = Site()
    one, two, other = site.add("a", TLS), site.add("b", TLS), site.add("c", UDP)
    site.location.lost(TLS, site.now)
    assert [one.flow_lost, two.flow_lost, other.flow_lost] == [True, True, False]
    assert site.location.reachable("a") == ()
    assert site.location.reachable("c") == (other,)
    assert len(site.location) == 3


def test_a_lost_phone_that_comes_back_is_reachable_again() -> None:
    site = Site()
    binding = site.add(flow=TLS)
    site.location.lost(TLS, site.now)
    again = TLS._replace(connection=9)
    site.location.refresh(binding, again, 120, site.now)
    assert site.location.reachable("alice") == (binding,)
    assert site.location.on_flow(again) == (binding,)


def test_losing_a_flow_nobody_registered_on_is_harmless() -> None:
    site = Site()
    binding = site.add(flow=UDP)
    site.location.lost(TCP, site.now)
    site.location.lost(UDP, site.now)
    assert not binding.flow_lost


def test_a_phone_that_takes_tcp_connections_is_connected_anew() -> None:
    site = Site()
    binding = site.add(flow=TCP)
    site.location.lost(TCP, site.now)
    assert binding.flow_lost
    assert site.location.reachable("alice") == (binding,)
    assert binding.flow == Flow("TCP", OURS, ("192.0.2.1", 5060), 0)


@pytest.mark.parametrize(
    "contact",
    ["sip:a@192.0.2.1", "sip:a@10.0.0.1:5060", "sip:a@phone.invalid:5060", "sip:[", "tel:+1"],
)
def test_nobody_is_connected_to_but_where_the_phone_itself_was(contact: str) -> None:
    site = Site()
    site.add(flow=TCP, contact=contact)
    site.location.lost(TCP, site.now)
    assert site.location.reachable("alice") == ()


def test_the_preferred_phone_comes_first() -> None:
    site = Site()
    names = {0.2: "sip:a", 1.0: "sip:b", 0.5: "sip:c"}
    for q, contact in names.items():
        site.add(contact=contact, q=q)
    found = [binding.contact for binding in site.location.reachable("alice")]
    assert found == ["sip:b", "sip:c", "sip:a"]


def test_addresses_that_hold_bindings_are_known() -> None:
    site = Site()
    one, two = site.add("a"), site.add("b")
    site.location.remove(one)
    assert site.location.holds("192.0.2.1")
    site.location.remove(two)
    assert not site.location.holds("192.0.2.1")


def test_a_flow_proves_only_who_registered_on_it() -> None:
    site = Site()
    site.add("a")
    assert site.location.proves(UDP, "a")
    assert not site.location.proves(UDP, "b")
    assert not site.location.proves(UDP._replace(remote=("192.0.2.1", 5061)), "a")


def test_bindings_survive_a_restart_with_their_whole_time() -> None:
    site = Site()
    site.add(q=0.5, instance="<urn:uuid:1>", reg_id=1, user_agent="Phone")
    again = site.restart()
    binding = again.location.of_user("alice")[0]
    assert (binding.flow, binding.q, binding.instance) == (UDP, 0.5, "<urn:uuid:1>")
    assert isinstance(binding.flow, Flow)
    assert binding.expires_at == again.now + 120
    assert again.location.reachable("alice") == (binding,)
    again.run(121)
    assert len(again.location) == 0


@pytest.mark.parametrize("flow", [TCP, TLS])
def test_connections_do_not_survive_a_restart(flow: Flow) -> None:
    site = Site()
    site.add(flow=flow, contact="sip:alice@phone.invalid;transport=tcp")
    again = site.restart()
    assert len(again.location) == 1
    assert again.location.reachable("alice") == ()


def test_a_restart_shows_since_when_a_phone_is_registered() -> None:
    site = Site()
    site.add()
    assert site.restart(offset=-50.0).location.of_user("alice")[0].registered_at == 50.5


def test_unreadable_rows_are_skipped_and_double_ones_taken_once() -> None:
    site = Site()
    site.add()
    row = next(action.row for action in site.actions if isinstance(action, SaveBinding))
    again = Site()
    again.location.restore((b"", b"\xc1", row, b"\x80", row), 0.0, again.now)
    assert len(again.location) == 1


def test_users_that_left_the_bundle_lose_their_bindings() -> None:
    site = Site()
    site.add("a")
    kept = site.add("b")
    site.location.keep(["b", "c"])
    assert list(site.location) == [kept]
    assert site.dropped() == ["sip:a@192.0.2.1:5060"]


def test_a_target_carries_no_headers() -> None:
    binding = Site().add(contact="sip:a@192.0.2.1?Route=%3Csip:x%3E")
    assert binding.target == "sip:a@192.0.2.1"


def test_coming_and_going_leaves_nothing_behind() -> None:
    site = Site()
    for number in range(5000):
        binding = site.add("a", TLS._replace(connection=number + 1))
        site.location.remove(binding)
    site.run(300)
    assert (len(site.location), len(site.timers)) == (0, 0)
    assert not site.location.holds("192.0.2.1")
    assert vars(site.location)["_connections"] == {}
