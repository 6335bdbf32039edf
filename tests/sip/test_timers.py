import weakref

from appliance.sip.timers import Lane, TimerQueue


def test_timers_fire_in_order_of_time_and_then_of_arming():
    timers, fired = TimerQueue(), []
    for name, when in (("c", 3.0), ("a", 1.0), ("b", 1.0)):
        timers.arm(when, lambda now, name=name: fired.append(name))
    timers.expire(3.0)
    assert fired == ["a", "b", "c"] and timers.deadline() is None


def test_a_cancelled_timer_never_fires_and_is_no_deadline():
    timers, fired = TimerQueue(), []
    timers.arm(1.0, fired.append).cancel()
    timers.arm(2.0, fired.append)
    assert timers.deadline() == 2.0 and len(timers) == 1
    timers.expire(5.0)
    assert fired == [5.0]


def test_cancelled_timers_do_not_pile_up():
    timers = TimerQueue()
    timers.arm(32.0, lambda now: None)
    for _ in range(100_000):
        timers.arm(32.0, lambda now: None).cancel()
    assert len(timers._heap) < 2100 and len(timers) == 1


def test_timers_armed_by_a_sweep_s_neighbour_still_fire_in_order():
    timers, fired = TimerQueue(), []

    def arm_many(now: float) -> None:
        for number in range(3000):
            timers.arm(now + 1 + number % 7, fired.append)

    timers.arm(1.0, arm_many)
    timers.expire(1.0)
    timers.expire(20.0)
    assert len(fired) == 3000 and timers.deadline() is None


def lane(slack: float = 0.25) -> tuple[TimerQueue, Lane[str], list[tuple[str, float]]]:
    timers, out = TimerQueue(), []
    return timers, Lane(timers, 32.0, lambda item, now: out.append((item, now)), slack), out


def test_a_lane_hands_each_thing_out_after_its_wait_and_little_later():
    timers, waiting, out = lane()
    waiting.add("a", 0.0)
    waiting.add("b", 0.2)
    waiting.add("c", 0.3)
    timers.expire(32.2)
    assert out == []
    for now in (32.25, 32.55):
        timers.expire(now)
    assert out == [("a", 32.25), ("b", 32.25), ("c", 32.55)]


def test_a_lane_arms_one_timer_for_a_quarter_of_a_second():
    timers, waiting, out = lane()
    for number in range(8000):
        waiting.add(str(number), number / 8000)
    assert len(timers) == 4
    timers.expire(100.0)
    assert len(out) == 8000 and out[0][0] == "0" and out[-1][0] == "7999"


def test_a_full_lane_hands_out_its_oldest_before_their_time():
    timers, waiting, out = lane()
    waiting.add("a", 0.0)
    waiting.add("b", 1.0)
    waiting.expire_oldest(1.1)
    assert out == [("a", 1.1)]
    waiting.expire_oldest(1.1)
    waiting.expire_oldest(1.1)
    waiting.add("c", 1.2)
    timers.expire(100.0)
    assert out == [("a", 1.1), ("b", 1.1), ("c", 100.0)]


def test_a_thing_handed_out_may_enter_the_lane_again():
    timers = TimerQueue()
    out: list[float] = []

    def again(item: str, now: float) -> None:
        out.append(now)
        waiting.add(item, now)

    waiting = Lane(timers, 10.0, again, slack=0.0)
    waiting.add("a", 0.0)
    for now in (10.0, 20.0, 30.0):
        timers.expire(now)
    assert out == [10.0, 20.0, 30.0]


def test_a_lane_keeps_nothing_it_has_handed_out():
    timers = TimerQueue()
    waiting: Lane[object] = Lane(timers, 32.0, lambda item, now: None)
    thing = set("a")
    gone = weakref.ref(thing)
    waiting.add(thing, 0.0)
    del thing
    timers.expire(33.0)
    assert gone() is None
