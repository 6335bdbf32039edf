"""The directory as an SQLite database that is built whole, written once, and then only read.

Entries are numbered in the order of their names, so that whatever comes in order of numbers comes
in order of names, and a search may stop at its limit instead of sorting all that fits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably
from appliance.phonebook.entry import Entry
from appliance.phonebook.folding import digits_of, folded, looks_dialled
from sdg.names import spellings

FORM = 1
"""Of the tables; another one is built anew."""
LIMIT = 200
"""Entries in one answer; nobody reads more on a phone or a page."""
ASKED_LIMIT = 128
"""Characters of a question: as long as the longest name."""
WORDS_LIMIT = 8
"""Words of a question that are looked at."""
SPELLINGS = 8
"""Ways to spell one name on the keys: a name of sixty words must not fill the disk."""
MODE = 0o640
"""Of the file: names and numbers of people, for our own user and group."""

_TABLES = """
CREATE TABLE about (form INTEGER, digest TEXT, entries INTEGER);
CREATE TABLE entry (id INTEGER PRIMARY KEY, row BLOB);
CREATE TABLE word (id INTEGER PRIMARY KEY, name TEXT, more TEXT);
CREATE TABLE number (digits TEXT, id INTEGER, PRIMARY KEY (digits, id)) WITHOUT ROWID;
CREATE TABLE keys (digits TEXT, id INTEGER, PRIMARY KEY (digits, id)) WITHOUT ROWID;
CREATE VIRTUAL TABLE parts USING fts5 (name, more, content='', tokenize='trigram');
CREATE VIRTUAL TABLE digits USING fts5 (number, content='', tokenize='trigram');
"""
_BEGINS = "SELECT id FROM word WHERE name >= ?1 AND name < ?1 || char(0x10ffff) ORDER BY name"
_WORDS = "instr(' ' || word.name, ' ' || ?)"
_NAME = "instr(word.name, ?)"
_ANY = "instr(word.name || ' ' || word.more, ?)"


def build(file: Path, entries: Sequence[Entry], digest: str) -> None:
    """Replace `file` by a directory of these entries, which stand in the order of their names.

    Raises Unavailable, with the old file untouched, when the disk does not take it.
    """
    with sqlite3.connect(":memory:") as database:
        database.executescript(_TABLES)
        database.executemany("INSERT INTO entry VALUES (?, ?)", _rows(entries))
        database.executemany("INSERT INTO word VALUES (?, ?, ?)", _words(entries))
        database.execute("INSERT INTO parts (rowid, name, more) SELECT id, name, more FROM word")
        for table, pairs in (("number", _numbers(entries)), ("keys", _keys(entries))):
            database.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", pairs)
        database.execute(
            "INSERT INTO digits (rowid, number)"
            " SELECT id, group_concat(digits, ' ') FROM number GROUP BY id"
        )
        database.execute("CREATE INDEX by_name ON word (name)")
        database.execute("INSERT INTO about VALUES (?, ?, ?)", (FORM, digest, len(entries)))
    content = database.serialize()
    database.close()
    write_durably(file, content, MODE)


def _rows(entries: Sequence[Entry]) -> Iterator[tuple[int, bytes]]:
    return ((number, msgspec.json.encode(entry)) for number, entry in enumerate(entries, 1))


def _words(entries: Sequence[Entry]) -> Iterator[tuple[int, str, str]]:
    for number, entry in enumerate(entries, 1):
        more = (entry.organisation, entry.department, entry.title, *entry.aliases, entry.mail)
        yield number, folded(entry.name), folded(" ".join(filter(None, more)))


def _numbers(entries: Sequence[Entry]) -> Iterator[tuple[str, int]]:
    for number, entry in enumerate(entries, 1):
        yield from ((digits, number) for way in entry.dialled() if (digits := _bare(way)))


def _keys(entries: Sequence[Entry]) -> Iterator[tuple[str, int]]:
    for number, entry in enumerate(entries, 1):
        yield from ((keys, number) for keys in sorted(spellings(entry.name))[:SPELLINGS])


def _bare(number: str) -> str:
    """Return a number's digits without trunk or international prefix, which callers vary."""
    digits = digits_of(number)
    return digits.lstrip("0") or digits


class Phonebook:
    """Search one built directory; safe from any thread, one search at a time."""

    def __init__(self, file: Path) -> None:
        """Open `file`; raises Unavailable when it is no directory of this version."""
        self._turn = threading.Lock()
        try:
            # It is never changed under its name, only replaced: SQLite need not lock or look again.
            where = f"file:{quote(str(file))}?mode=ro&immutable=1"
            self._database = sqlite3.connect(where, uri=True, check_same_thread=False)
            [(form, self.digest, self.entries)] = self._database.execute("SELECT * FROM about")
        except (sqlite3.Error, ValueError) as error:
            raise Unavailable(f"{file} is no directory: {error}") from error
        if form != FORM:
            self.close()
            raise Unavailable(f"{file} is a directory of another version")

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._database.close()

    def search(self, asked: str, limit: int = 50) -> list[Entry]:
        """Return whom a name, a part of one, or a number means, the likeliest first.

        Raises LocalError when there is nothing to look for.
        """
        if looks_dialled(asked):
            return self._find(_by_number(_bare(asked)), limit)
        words = folded(asked[:ASKED_LIMIT]).split()[:WORDS_LIMIT]
        if not words:
            raise LocalError("say what to look for: a part of a name, or a number")
        return self._find(_by_name(words), limit)

    def spelt(self, keys: str, limit: int = 50) -> list[Entry]:
        """Return whose name, from any word of it on, is spelt so on the keys (T9), in its order.

        Raises LocalError for anything but keys with letters; 0 and 1 part words and count as none.
        """
        digits = keys.translate({ord(sign): None for sign in "01 "})[:ASKED_LIMIT]
        if not digits or set(digits) - set("23456789"):
            raise LocalError(f"{keys[:40]!r} spells nothing; letters are on the keys 2 to 9")
        end = digits[:-1] + chr(ord(digits[-1]) + 1)
        query = "SELECT DISTINCT id FROM keys WHERE digits >= ? AND digits < ? ORDER BY id"
        return self._find([(query, (digits, end))], limit)

    def _find(self, queries: Sequence[tuple[str, tuple[Any, ...]]], limit: int) -> list[Entry]:
        """Ask one query after another until there is enough."""
        if not 1 <= limit <= LIMIT:
            raise LocalError(f"limit must be 1 to {LIMIT}, not {limit}")
        found: dict[int, None] = {}
        with self._turn:
            try:
                for query, arguments in queries:
                    rows = self._database.execute(f"{query} LIMIT {limit}", arguments)
                    found.update(dict.fromkeys(number for (number,) in rows))
                    if len(found) >= limit:
                        break
                return [self._read(number) for number in list(found)[:limit]]
            except sqlite3.Error as error:
                raise Unavailable(f"the directory cannot be read: {error}") from error

    def _read(self, number: int) -> Entry:
        [(row,)] = self._database.execute("SELECT row FROM entry WHERE id = ?", (number,))
        return msgspec.json.decode(row, type=Entry)


def _by_name(words: Sequence[str]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return queries: the name begins so, words of it do, it has that, or what else is known."""
    begins = (_BEGINS, (" ".join(words),))
    indexed = [word for word in words if len(word) >= 3]
    if not indexed:
        # No trigram has fewer letters: the names themselves are read, which takes 8 ms of 60,000.
        return [begins, *[(_scan(test, words), tuple(words)) for test in (_WORDS, _NAME)]]
    match = " AND ".join(map(_quoted, indexed))
    return [
        begins,
        (_indexed(_WORDS, words), (f"name : ({match})", *words)),
        (_indexed(_NAME, words), (f"name : ({match})", *words)),
        (_indexed(_ANY, words), (match, *words)),
    ]


def _scan(test: str, words: Sequence[str]) -> str:
    return f"SELECT id FROM word WHERE {' AND '.join([test] * len(words))} ORDER BY name"


def _indexed(test: str, words: Sequence[str]) -> str:
    """Return the query for what the index gives and every word fits as `test` says."""
    tests = " AND ".join([test] * len(words))
    found = "SELECT word.id FROM parts JOIN word ON word.id = parts.rowid WHERE parts MATCH ?"
    return f"{found} AND {tests} ORDER BY parts.rowid"


def _by_number(digits: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return queries: the number is this, begins so, or has these digits in it."""
    same = "SELECT id FROM number WHERE digits = ? ORDER BY id"
    begins = "SELECT DISTINCT id FROM number WHERE digits >= ?1 AND digits < ?1 || ':' ORDER BY id"
    inside = "SELECT rowid FROM digits WHERE digits MATCH ? ORDER BY rowid"
    queries = [(same, (digits,)), (begins, (digits,))]
    return [*queries, (inside, (_quoted(digits),))] if len(digits) >= 3 else queries


def _quoted(word: str) -> str:
    """Write a word as a string of FTS5, in which nothing is an operator."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'
