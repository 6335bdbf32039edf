"""Several workers behind one control socket, with the loop in the test's own hands."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from appliance.ipc import Frames, Message, encode
from appliance.media.control import Connection
from appliance.media.loop import Loop
from appliance.media.shards import Shards
from tests.media.phone import Phone, relay


class Trial:
    """Two workers with core on the other end of a socket pair."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.shards = Shards(self.loop, 2, 10)
        self.core = self.connect()

    def connect(self) -> socket.socket:
        self._frames = Frames()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        Connection(self.loop, ours, self.shards.receive, self.shards.gone)
        return theirs

    def ask(self, do: str, **arguments: object) -> list[Message]:
        """Return everything core hears up to its answer."""
        self.core.send(encode(Message(id=7, do=do, arguments=arguments)))
        heard: list[Message] = []

        def is_answered() -> bool:
            heard.extend(self.hear())
            return any(one.id == 7 for one in heard)

        self.until(is_answered)
        return heard

    def hear(self) -> list[Message]:
        try:
            return self._frames.feed(self.core.recv(1 << 20))
        except BlockingIOError:
            return []

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(1000):
            if holds():
                return
            self.loop.turn(0.01)
        raise AssertionError("it never came to that")


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial()
    yield made
    made.shards.close()
    made.loop.close()


def test_relays_are_shared_out_and_their_numbers_joined(trial: Trial) -> None:
    relays = [relay(Phone().side(), Phone().side(), key=f"{number}/0") for number in range(6)]
    assert trial.ask("media.put", relays=relays)[-1].ok == 6
    stats = trial.ask("media.stats")[-1].ok
    assert (stats["workers"], stats["relays"], stats["capacity"]) == (2, 6, 20)
    ended = trial.ask("media.drop", keys=[one.key for one in relays])
    assert sorted(one.data["key"] for one in ended[:-1]) == [one.key for one in relays]
    assert ended[-1].ok == 0


def test_quality_comes_from_all_workers(trial: Trial) -> None:
    relays = [relay(Phone().side(), Phone().side(), key=f"{number}/0") for number in range(6)]
    trial.ask("media.put", relays=relays)
    keys = [one.key for one in relays]
    assert sorted(row["key"] for row in trial.ask("media.quality")[-1].ok) == keys
    some = trial.ask("media.quality", keys=keys[2:5])[-1].ok
    assert sorted(row["key"] for row in some) == keys[2:5]


def test_a_request_that_makes_no_sense_is_refused(trial: Trial) -> None:
    assert trial.ask("media.put", relays=5)[-1].error is not None


def test_orphans_end_when_core_stays_away(trial: Trial) -> None:
    trial.ask("media.put", relays=[relay(Phone().side(), Phone().side())])
    trial.core.close()
    trial.loop.turn(0.1)
    trial.loop.sweep()
    trial.core = trial.connect()
    assert trial.ask("media.stats")[-1].ok["relays"] == 1
    trial.shards.orphan_after = -1.0
    trial.loop.sweep()
    assert trial.ask("media.stats")[-1].ok["relays"] == 0
