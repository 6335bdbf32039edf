"""The media process's table of relays, asked over a real socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.call.actions import Relay
from appliance.ipc import Frames, Message, encode
from appliance.media.commands import Stats
from appliance.media.control import Connection
from appliance.media.loop import Loop
from appliance.media.worker import Worker
from tests.media.phone import Phone, relay, rtp, settle, udp


class Trial:
    """A worker with core on the other end of a socket pair."""

    def __init__(self, capacity: int = 10) -> None:
        self.loop = Loop()
        self.worker = Worker(self.loop, capacity)
        self.core = self.connect()

    def connect(self) -> socket.socket:
        self._frames = Frames()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        Connection(self.loop, ours, self.worker.receive, self.worker.gone)
        return theirs

    def ask(self, do: str, **arguments: object) -> list[Message]:
        """Return everything core hears until all is done; the answer comes last."""
        self.core.send(encode(Message(id=7, do=do, arguments=arguments)))
        return self.heard()

    def heard(self) -> list[Message]:
        settle(self.loop)
        try:
            return self._frames.feed(self.core.recv(1 << 20))
        except BlockingIOError:
            return []


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial()
    yield made
    made.worker.close()
    made.loop.close()


def call(key: str, a: Phone, b: Phone, revision: int = 1) -> Relay:
    return relay(a.side(), b.side(), revision, key)


def ended(key: str, from_a: int = 0, from_b: int = 0) -> dict[str, Any]:
    size = len(rtp())
    return {
        "key": key,
        "from_a": counters(from_a, from_a * size),
        "from_b": counters(from_b, from_b * size),
    }


def counters(packets: int, octets: int) -> dict[str, Any]:
    nothing = {"dropped": 0, "refused": 0, "quality": None}
    return {"packets": packets, "octets": octets, **nothing}


def test_a_relay_lives_from_put_to_drop(trial: Trial) -> None:
    a, b = Phone(), Phone()
    assert trial.ask("media.put", relays=[call("x/0", a, b)]) == [Message(id=7, ok=1)]
    a.say(rtp())
    settle(trial.loop)
    assert b.heard() == [rtp()]
    event, done = trial.ask("media.drop", keys=["x/0"])
    assert (event.event, event.data) == ("relay_ended", ended("x/0", from_a=1))
    assert done == Message(id=7, ok=0)


def test_putting_again_changes_nothing(trial: Trial) -> None:
    a, b = Phone(), Phone()
    for _ in range(3):
        trial.ask("media.put", relays=[call("x/0", a, b)])
        a.say(rtp())
        settle(trial.loop)
    assert len(b.heard()) == 3
    assert trial.worker.stats.opened == 1


def test_another_port_of_ours_moves_the_relay(trial: Trial) -> None:
    a, b, c = Phone(), Phone(), Phone()
    trial.ask("media.put", relays=[call("x/0", a, b)])
    trial.ask("media.put", relays=[call("x/0", a, c, revision=2)])
    a.say(rtp())
    settle(trial.loop)
    assert (b.heard(), c.heard()) == ([], [rtp()])


def test_dropping_what_is_not_there_ends_it_with_zeros(trial: Trial) -> None:
    event, _ = trial.ask("media.drop", keys=["gone/0"])
    assert event.data == ended("gone/0")


def test_resync_keeps_what_is_wanted_and_ends_the_rest(trial: Trial) -> None:
    a, b, c, d = Phone(), Phone(), Phone(), Phone()
    trial.ask("media.put", relays=[call("keep/0", a, b), call("end/0", c, d)])
    a.say(rtp())
    event, done = trial.ask("media.resync", relays=[call("keep/0", a, b)])
    assert event.data == ended("end/0") and done.ok == 1
    event, _ = trial.ask("media.drop", keys=["keep/0"])
    assert event.data == ended("keep/0", from_a=1)


def test_a_taken_port_is_told_and_the_others_open(trial: Trial) -> None:
    a, b, c, d = Phone(), Phone(), Phone(), Phone()
    thief = udp(*d.local)
    event, done = trial.ask("media.put", relays=[call("bad/0", c, d), call("good/0", a, b)])
    assert event.event == "relay_failed"
    reason = "Address already in use"
    assert event.data == {"key": "bad/0", "reason": reason, "port": d.local[1]}
    assert done.ok == 1
    thief.close()


def test_jobs_that_outlast_their_slice_keep_their_order(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.media.loop.JOBS_TIME", 0.0)
    a, b, c, d = Phone(), Phone(), Phone(), Phone()
    assert trial.ask("media.put", relays=[call("1/0", a, b), call("2/0", c, d)])[-1].ok == 2
    *events, done = trial.ask("media.drop", keys=["2/0", "3/0", "1/0"])
    assert [event.data["key"] for event in events] == ["2/0", "3/0", "1/0"]
    assert done.ok == 0


def test_beyond_the_capacity_relays_fail() -> None:
    trial = Trial(capacity=1)
    event, done = trial.ask(
        "media.put", relays=[call("1/0", Phone(), Phone()), call("2/0", Phone(), Phone())]
    )
    assert (event.event, event.data["key"], done.ok) == ("relay_failed", "2/0", 1)
    trial.worker.close()


def test_silence_is_told_once_and_again_after_sound(trial: Trial) -> None:
    a, b = Phone(), Phone()
    trial.worker.silence = 0.0
    trial.ask("media.put", relays=[call("x/0", a, b)])
    trial.loop.sweep()
    trial.loop.sweep()
    (event,) = trial.heard()
    assert event.event == "relay_silent" and event.data["key"] == "x/0"
    a.report()
    settle(trial.loop)
    trial.loop.sweep()
    assert trial.heard() == []
    trial.loop.sweep()
    assert [message.event for message in trial.heard()] == ["relay_silent"]


def test_sound_within_the_time_is_no_silence(trial: Trial) -> None:
    trial.ask("media.put", relays=[call("x/0", Phone(), Phone())])
    for _ in range(5):
        trial.loop.sweep()
    assert trial.heard() == []


def test_relays_take_turns_at_being_looked_at_and_none_is_left_out(trial: Trial) -> None:
    keys = {f"{number}/0" for number in range(10)}
    trial.ask("media.put", relays=[call(key, Phone(), Phone()) for key in keys])
    for key in keys:
        trial.worker._relays[key]._heard_at -= trial.worker.silence
    told: list[str] = []
    for _ in range(5):
        trial.loop.sweep()
        told += [message.data["key"] for message in trial.heard()]
    assert sorted(told) == sorted(keys)


def test_a_core_that_was_killed_finds_its_relays_and_silences_again(trial: Trial) -> None:
    a, b = Phone(), Phone()
    trial.worker.silence = 0.0
    trial.ask("media.put", relays=[call("x/0", a, b)])
    trial.core.close()
    settle(trial.loop)
    trial.loop.sweep()
    a.say(rtp())
    settle(trial.loop)
    assert b.heard() == [rtp()]
    trial.loop.sweep()
    trial.loop.sweep()
    trial.core = trial.connect()
    assert trial.ask("media.resync", relays=[call("x/0", a, b)])[-1].ok == 1
    trial.loop.sweep()
    assert [message.event for message in trial.heard()] == ["relay_silent"]
    event, _ = trial.ask("media.drop", keys=["x/0"])
    assert event.data == ended("x/0", from_a=1)


def test_orphans_end_when_core_stays_away(trial: Trial) -> None:
    a, b = Phone(), Phone()
    trial.ask("media.put", relays=[call("x/0", a, b)])
    trial.loop.sweep()
    assert trial.worker.stats.relays == 1
    trial.core.close()
    settle(trial.loop)
    trial.loop.sweep()
    assert trial.worker.stats.relays == 1
    trial.worker.orphan_after = -1.0
    trial.loop.sweep()
    assert trial.worker.stats.relays == 0


def test_who_only_asks_is_not_core(trial: Trial) -> None:
    a, b = Phone(), Phone()
    trial.worker.silence = 0.0
    trial.ask("media.put", relays=[call("x/0", a, b)])
    core, trial.core = trial.core, trial.connect()
    (done,) = trial.ask("media.stats")
    assert done.ok["relays"] == 1
    trial.loop.sweep()
    assert trial.heard() == []
    assert b"relay_silent" in core.recv(1 << 16)


def test_quality_is_told_of_relays_that_live(trial: Trial) -> None:
    a, b, c, d = Phone(), Phone(), Phone(), Phone()
    trial.ask("media.put", relays=[call("1/0", a, b), call("2/0", c, d)])
    for number in range(100):
        a.say(rtp(number, bytes(160)))
    settle(trial.loop)
    core, trial.core = trial.core, trial.connect()
    (done,) = trial.ask("media.quality")
    one, other = sorted(done.ok, key=lambda row: row["key"])
    assert (one["key"], one["from_a"]["packets"]) == ("1/0", 100)
    assert one["from_a"]["quality"]["source"] == "headers"
    assert one["from_b"]["quality"] is None and other["from_a"]["quality"] is None
    (chosen,) = trial.ask("media.quality", keys=["2/0", "3/0"])
    assert [row["key"] for row in chosen.ok] == ["2/0"]
    core.close()


def test_stats_sum_living_and_ended_relays(trial: Trial) -> None:
    a, b, c, d = Phone(), Phone(), Phone(), Phone()
    trial.ask("media.put", relays=[call("1/0", a, b), call("2/0", c, d)])
    a.say(rtp())
    c.say(rtp())
    settle(trial.loop)
    trial.ask("media.drop", keys=["1/0"])
    assert trial.worker.stats == Stats(
        workers=1,
        relays=1,
        capacity=10,
        descriptors=6,
        packets=2,
        octets=2 * len(rtp()),
        opened=2,
    )


@pytest.mark.parametrize(
    ("do", "arguments"),
    [
        ("media.explode", {}),
        ("", {}),
        ("media.put", {}),
        ("media.put", {"relays": 5}),
        ("media.put", {"relays": [{"key": "x"}]}),
        ("media.drop", {"keys": [1]}),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    trial: Trial, do: str, arguments: dict[str, object]
) -> None:
    (refused,) = trial.ask(do, **arguments)
    assert refused.id == 7 and refused.error is not None and refused.error.code == "refused"


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\0\0\0\1\xc1", b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage_ends_its_connection_and_nothing_else(trial: Trial, garbage: bytes) -> None:
    a, b = Phone(), Phone()
    trial.ask("media.put", relays=[call("x/0", a, b)])
    stranger = trial.connect()
    stranger.send(garbage)
    settle(trial.loop)
    assert stranger.recv(16) == b""
    a.say(rtp())
    settle(trial.loop)
    assert b.heard() == [rtp()]
