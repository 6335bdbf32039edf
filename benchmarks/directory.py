"""Searches in a directory of 50,000 contacts and 10,000 users, beside a plain scan of the names.

python -m benchmarks.directory [--contacts N] [--users N] [--searches N]
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance.cloud.sample import make_sample
from appliance.phonebook.entry import Entry, digest_of, entries_of
from appliance.phonebook.folding import folded
from appliance.phonebook.index import Phonebook, build
from sdg.names import on_keys

Ask = Callable[[str], object]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.directory", description=__doc__)
    parser.add_argument("--contacts", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=500, help="of each kind")
    return parser.parse_args()


def questions(entries: Sequence[Entry], dice: random.Random) -> Iterator[tuple[str, str]]:
    """Yield one question of each kind about somebody."""
    name = folded(dice.choice(entries).name)
    number = next(filter(None, dice.choice(entries).dialled()), "100")
    at = dice.randrange(max(1, len(name) - 5))
    yield "whole name", name
    yield "5 letters", name[at : at + 5].strip()
    yield "3 letters", name[at : at + 3].strip()
    yield "2 letters", name[at : at + 2].strip()
    yield "2 letters nobody has", dice.choice(["zq", "qx", "xj", "jq"])
    yield "two beginnings", f"{name[:2]} {name.split()[-1][:3]}"
    yield "whole number", number
    yield "last 4 digits", number[-4:]
    yield "T9, 2 keys", on_keys(name.split()[-1])[:2]
    yield "T9, 5 keys", on_keys(name.split()[-1])[:5]


def plain(entries: Sequence[Entry]) -> tuple[Ask, Ask]:
    """Make what everybody writes first: LIKE over names and over digits, with the same limit."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE entry (name TEXT, digits TEXT, keys TEXT)")
    rows = ((folded(e.name), " ".join(e.dialled()), on_keys(e.name)) for e in entries)
    database.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)

    def names(asked: str) -> object:
        tests = " AND ".join(["(name LIKE ? OR digits LIKE ?)"] * len(asked.split()))
        words = [f"%{word}%" for word in asked.split() for _ in range(2)]
        query = f"SELECT * FROM entry WHERE {tests} ORDER BY name LIMIT 50"
        return database.execute(query, words).fetchall()

    def keys(asked: str) -> object:
        query = "SELECT * FROM entry WHERE keys LIKE ? ORDER BY name LIMIT 50"
        return database.execute(query, (f"%{asked}%",)).fetchall()

    return names, keys


def taken(ask: Ask, asked: Sequence[str]) -> list[float]:
    """Return the seconds of processor time that each question took, shortest first."""
    times = []
    for question in asked:
        begun = time.thread_time()
        ask(question)
        times.append(time.thread_time() - begun)
    return sorted(times)


def cells(times: Sequence[float]) -> str:
    """Write median, 99th percentile and longest in milliseconds."""
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"{p50 * 1000:8.2f}{p99 * 1000:8.2f}{times[-1] * 1000:8.2f}"


def main() -> None:
    """Build both, ask both the same, and print a row for each kind of question."""
    wanted = arguments()
    dice = random.Random(1)
    entries = entries_of(make_sample(wanted.users, wanted.contacts).bundle)
    asked: dict[str, list[str]] = {}
    for _ in range(wanted.searches):
        for kind, question in questions(entries, dice):
            if question:
                asked.setdefault(kind, []).append(question)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "directory.db"
        begun = time.monotonic()
        build(file, entries, digest_of(entries))
        built, size = time.monotonic() - begun, file.stat().st_size / 1e6
        print(f"{len(entries):,} entries: built in {built:.1f} s, {size:.0f} MB")
        compare(Phonebook(file), plain(entries), asked)


def compare(book: Phonebook, scan: tuple[Ask, Ask], asked: dict[str, list[str]]) -> None:
    """Print milliseconds of processor time of both, and how many times the scan's is ours."""
    print(
        f"{'ms of processor time':24}{'Holdfast':>24}  {'plain scan':>24}  {'scan / Holdfast':>16}"
    )
    print(f"{'':24}" + f"{'p50':>8}{'p99':>8}{'max':>8}  " * 2 + f"{'p50':>8}{'p99':>8}")
    for kind, words in asked.items():
        spelt = kind.startswith("T9")
        own = taken(book.spelt if spelt else book.search, words)
        other = taken(scan[1] if spelt else scan[0], words)
        at = len(own) // 2, len(own) * 99 // 100
        ratios = "".join(f"{other[place] / own[place]:8.1f}" for place in at)
        print(f"{kind:24}{cells(own)}  {cells(other)}  {ratios}", flush=True)


if __name__ == "__main__":
    main()
