import math

from appliance.sip.retransmission import Retransmission
from appliance.sip.timers import TimerQueue
from tests.clock import Clock


class Repeating:
    def __init__(self, longest: float = 4.0) -> None:
        self.clock = Clock(0.0)
        timers = TimerQueue()
        self.clock.drive(timers)
        self.times: list[float] = []
        self.given_up: list[float] = []
        self.repeated = Retransmission(
            timers, 0.0, self.times.append, self.given_up.append, longest
        )


def test_a_2xx_is_repeated_up_to_every_4_s_and_given_up_after_32_s():
    it = Repeating()
    it.clock.advance(100)
    assert it.times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert it.given_up == [32.0]


def test_a_reliable_provisional_response_doubles_its_wait_without_limit():
    it = Repeating(math.inf)
    it.clock.advance(100)
    assert it.times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert it.given_up == [32.0]


def test_stopped_it_neither_repeats_nor_gives_up():
    it = Repeating()
    it.clock.advance(2)
    it.repeated.stop()
    it.repeated.stop()
    it.clock.advance(100)
    assert it.times == [0.5, 1.5] and it.given_up == []
    assert it.clock.deadline() is None


def test_it_may_be_stopped_by_what_it_calls():
    it = Repeating()
    it.repeated._again = lambda now: it.repeated.stop()
    it.clock.advance(100)
    assert it.given_up == [] and it.clock.deadline() is None
