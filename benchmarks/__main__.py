"""Run the benchmarks: `python -m benchmarks [registrations] [calls] [media] [--phones N] ...`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks import calls, dashboard, generator, media, pages, registrations
from benchmarks.isolation import enter_own_network
from benchmarks.report import Row, cells, save, table

TRANSPORTS = ["udp", "tcp", "tls"]
KINDS = (
    "registrations, calls, media; those if none is named; dashboard: with people who look on; "
    "pages: every web page of the largest site"
)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("what", nargs="*", help=KINDS)
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--transports", default=",".join(TRANSPORTS), help="udp,tcp,tls,tls12")
    parser.add_argument(
        "--only", default="", choices=["", "holdfast", "kamailio", "rtpengine", "sippy"]
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of audio in each measurement")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    return parser.parse_args()


def collect(title: str, unit: str, rows: Iterator[Row]) -> list[Row]:
    """Measure row by row, showing each as it comes and all together at the end."""
    print(f"\n{title}", flush=True)
    found = []
    for row in rows:
        print("  ".join(cells(row, None)), flush=True)
        found.append(row)
    print("\n" + table(title, found, unit), flush=True)
    return found


def main() -> None:
    """Measure what was asked for and leave the figures in a file."""
    asked = arguments()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    if not asked.what or "calls" in asked.what:
        calls.sippy_python(folder)
    enter_own_network()
    done = []
    if not asked.what or "registrations" in asked.what:
        title = f"{asked.phones:,} phones register with digest, server on one core"
        chosen = asked.transports.split(",")
        rows = registrations.run(folder, chosen, asked.phones, asked.only)
        done += collect(title, "phones", rows)
    if not asked.what or "calls" in asked.what:
        title = "Calls with digest: set up, answered, ended; server on one core"
        done += collect(title, "calls", calls.run(folder, asked.calls, asked.only))
    if not asked.what or "media" in asked.what:
        print("\nCalls of G.711 relayed, each two streams of 50 packets a second; one core")
        done += media.run(folder, asked.seconds, asked.only)
    if "dashboard" in asked.what:
        print("\nPhones register while people look at the dashboard; server on one core")
        done += dashboard.run(folder, asked.phones)
    if "pages" in asked.what:
        print("\nEvery web page of the largest site; server on one core")
        done += pages.run(folder, asked.phones, asked.calls)
    save(folder / "figures.json", done)
    print(f"\nall figures: {folder / 'figures.json'}")


if __name__ == "__main__":
    main()
