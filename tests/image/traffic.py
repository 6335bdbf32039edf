"""Phones that register and call until the power is gone; whether what they were told is left."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.image.autopsy import Remains
from tests.image.caller import Caller, Told
from tests.system.site import USERS

KEPT = 45.0
"""Seconds a binding of a minute is sure to be there, should nobody renew it."""


@contextmanager
def traffic(callers: list[Caller], *others: Callable[[], Told]) -> Iterator[list[Told]]:
    """Let phones register and call, and give the growing list of what they were told.

    Each phone registers once: what it was told then holds until the end. Each of `others` is
    called again and again beside them; AssertionError and OSError end it.
    """
    told = list[Told]()
    ended = threading.Event()
    fresh, chance = [*callers], random.Random(0)

    def next_of_phones() -> Told:
        if fresh and chance.random() < 0.5:
            return fresh.pop().register()
        return chance.choice(callers).call_nobody()

    threads = [
        threading.Thread(target=_repeat, args=(do, told, ended), daemon=True)
        for do in (next_of_phones, *others)
    ]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        ended.set()
        for caller in callers:
            caller.line.close()
        for thread in threads:
            thread.join(30)


def _repeat(do: Callable[[], Told], told: list[Told], ended: threading.Event) -> None:
    with suppress(AssertionError, OSError):
        while not ended.is_set():
            told.append(do())


def check(remains: Remains, told: Sequence[Told], at: float, settled: float) -> float:
    """Compare what is left with what phones were told `settled` seconds or more before `at`.

    Returns how long before `at` the oldest of what is lost was told, seconds.
    """
    assert set(remains.integrity.values()) <= {"ok"}, remains.integrity
    lost = 0.0
    for one in told:
        age = at - one.at
        if age < 0 or is_left(remains, one, age):
            continue
        assert age < settled, f"a {one.kind} of {age:.2f} s ago is lost: {one.text}"
        lost = max(lost, age)
    talks = sum(one.kind == "talk" and at - one.at >= settled for one in told)
    assert remains.answered >= talks, "a call that was answered and ended is lost"
    if any(at - one.at >= settled for one in told):
        assert remains.bundle is not None and len(remains.bundle.users) == len(USERS)
    return lost


def is_left(remains: Remains, one: Told, age: float) -> bool:
    """Tell whether that is still there; what need not be, counts as being there."""
    if one.kind == "record":
        return one.text in remains.called
    if one.kind == "binding":
        return age >= KEPT or one.text in remains.bindings
    if one.kind == "bundle":
        return remains.bundle is not None and remains.bundle.version >= int(one.text)
    return True
