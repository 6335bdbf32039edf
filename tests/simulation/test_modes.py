"""Ten thousand simulated hours of flapping zones, loss and restarts: A2's promises hold.

Nothing in the modes depends on the size of a second, only on interval, timeout and window compared
with each other, so most hours are run with everything, weather included, 6 or 24 times slower.
"""

from __future__ import annotations

import pytest

from appliance.bundle import Monitoring
from tests.simulation.outages import Outages

DEFAULT = Monitoring()
SLOWER = Monitoring(interval=30, timeout=18, stable_window=1800)
SLOWEST = Monitoring(interval=120, timeout=50, misses=4, stable_window=1500)
EAGER = Monitoring(interval=5, timeout=8, misses=1, stable_window=60)


@pytest.mark.parametrize(
    ("seed", "monitoring", "hours"),
    [(seed, DEFAULT, 50) for seed in range(6)]
    + [(seed, SLOWER, 300) for seed in range(6, 12)]
    + [(seed, SLOWEST, 1580) for seed in range(12, 17)]
    + [(seed, EAGER, 40) for seed in range(17, 20)],
)
def test_modes_keep_their_promises(seed: int, monitoring: Monitoring, hours: int) -> None:
    site = Outages(seed, monitoring)
    site.run(hours)
    assert site.restarts > hours / 20 / site.pace
    assert site.entries > hours / 50 / site.pace


def test_the_same_seed_is_the_same_life() -> None:
    lives = [Outages(7, DEFAULT) for _ in range(2)]
    for site in lives:
        site.run(20)
    assert lives[0].changes == lives[1].changes
    assert lives[0].now == lives[1].now == 72_000
