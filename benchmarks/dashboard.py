"""An avalanche of phones while people look: does the dashboard slow signalling down?

python -m benchmarks.dashboard [--transport tls|udp] [--phones N] [--viewers N] [--rounds N]
                               [--waves N]
python -m benchmarks.dashboard --compare     # a real browser's questions beside a viewer's

Everything that serves is on one core with the weights and niceness of the systemd units, so that
pages and signalling have to share it. All clients are on the other core; there the phones are under
a real-time policy, so that no viewer delays a phone's own clock. Rounds with and without viewers
take turns, each on a fresh server. In each the phones come several times, since over UDP all of
them are in before everybody who looks on has asked once. Who looks on asks each second, also when
nothing has changed, which is more than a page does.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import generator, holdfast
from benchmarks.browser import Browser
from benchmarks.isolation import busy_share, enter_own_network
from benchmarks.process import Server
from benchmarks.report import Row
from benchmarks.viewers import Viewers, admin_cookie, looking
from benchmarks.weights import weighed

VIEWERS, ROUNDS, WINDOW = 20, 5, 200
TRANSPORTS = ("tls", "udp")
WAVES = {"tls": 2, "udp": 10}
"""How often the phones come in each round."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.dashboard", description=__doc__)
    parser.add_argument("--transport", choices=TRANSPORTS, default="tls")
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--viewers", type=int, default=VIEWERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--waves", type=int, help="avalanches in each round")
    parser.add_argument("--window", type=int, default=WINDOW, help="phones under way; 0: all")
    parser.add_argument("--compare", action="store_true", help="with a browser; needs chromium")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    return parser.parse_args()


@contextmanager
def served(folder: Path, phones: int) -> Iterator[tuple[Server, str]]:
    """Have a fresh server; give it with the cookie of somebody who has logged in."""
    place = folder / "server"
    with holdfast.serving(place, phones) as server:
        yield server, admin_cookie(place / "data")


def avalanche(folder: Path, server: Server, transport: str, phones: int, window: int) -> Row:
    """Let the phones come once; return the generator's figures."""
    return generator.register(
        folder,
        server,
        policy="fifo",
        transport=transport,
        port=holdfast.PORTS[transport],
        phones=phones,
        window=window,
    )


def measure(
    folder: Path, transport: str, phones: int, viewers: int, window: int, waves: int
) -> dict[str, Any]:
    """Let the phones come so often while so many look on; return the figures of both."""
    with (
        served(folder, phones) as (server, cookie),
        weighed(server) as how,
        looking(viewers, cookie, restless=True) as there,
    ):
        time.sleep(2)
        before = there.asked.copy() if there else Counter[str]()
        rows = [avalanche(folder, server, transport, phones, window) for _ in range(waves)]
        more = there.asked - before if there else before
    return {**together(rows), "asked": dict(more), "how": how}


def together(rows: list[Row]) -> Row:
    """Make one row of several avalanches: medians of times, sums of counts."""
    row = dict(rows[-1])
    for name in ("p50", "p95", "p99", "rate"):
        row[name] = statistics.median(one[name] for one in rows)
    for name in ("seconds", "count", "left_out"):
        row[name] = sum(one[name] for one in rows)
    row["cpu_us_by_process"] = {
        name: statistics.fmean(one["cpu_us_by_process"][name] for one in rows)
        for name in row["cpu_us_by_process"]
    }
    return row


def compare(
    folder: Path,
    transport: str,
    phones: int,
    viewers: int,
    rounds: int,
    window: int,
    waves: int,
) -> list[Row]:
    """Measure rounds in turn and print both medians."""
    print(f"others use {busy_share():.0%} of the machine")
    found: dict[int, list[Row]] = {0: [], viewers: []}
    for _ in range(rounds):
        for number, rows in found.items():
            rows.append(measure(folder, transport, phones, number, window, waves))
            print(line(number, rows[-1]), flush=True)
    for name, of in (("median", statistics.median), ("least", min)):
        alone, watched = (of(row["p95"] for row in rows) for rows in found.values())
        print(
            f"{transport}: {name} p95 {alone * 1000:.2f} ms alone, {watched * 1000:.2f} ms with "
            f"{viewers} who look on: {watched / alone - 1:+.1%} (aim: below 10 %)"
        )
    return [{**row, "kind": "dashboard", "viewers": n} for n, rows in found.items() for row in rows]


def run(folder: Path, phones: int) -> list[Row]:
    """Compare over every transport."""
    rows = (compare(folder, one, phones, VIEWERS, ROUNDS, WINDOW, WAVES[one]) for one in TRANSPORTS)
    return [row for some in rows for row in some]


def line(viewers: int, row: Row) -> str:
    """Write one round."""
    took = ", ".join(f"{name} {row[name] * 1000:.1f} ms" for name in ("p50", "p95", "p99"))
    asked = ", ".join(f"{count} x {name}" for name, count in sorted(row["asked"].items()))
    each = row["cpu_us_by_process"]
    spent = each.get("admin", 0.0) * row["count"] / 1e6
    return (
        f"{viewers:>3} viewers ({row['how']}): {row['rate']:,.0f} phones/s, {took}, left out "
        f"{row['left_out']}; core {each.get('core', 0.0):.0f} us a phone, admin {spent:.2f} s of "
        f"{row['seconds']:.2f} s; {asked}"
    )


def beside_a_browser(folder: Path, transport: str, phones: int, window: int) -> None:
    """Print what a real browser asked for during an avalanche, and what a viewer did."""
    with (
        served(folder, phones) as (server, cookie),
        weighed(server),
        Browser() as browser,
        looking(1, cookie) as viewer,
    ):
        assert isinstance(viewer, Viewers)
        browser.forget()
        before = viewer.asked.copy()
        avalanche(folder, server, transport, phones, window)
        browser.catch_up(2.0)
        seen, modelled = browser.asked, viewer.asked - before
    for name in sorted({*seen, *modelled}):
        print(f"{name}: Chromium {seen[name]}, viewer {modelled[name]}")


def main() -> None:
    """Measure in a network of our own."""
    asked = arguments()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    enter_own_network()
    if asked.compare:
        beside_a_browser(folder, asked.transport, asked.phones, asked.window)
    else:
        waves = asked.waves or WAVES[asked.transport]
        more = asked.viewers, asked.rounds, asked.window, waves
        compare(folder, asked.transport, asked.phones, *more)


if __name__ == "__main__":
    main()
