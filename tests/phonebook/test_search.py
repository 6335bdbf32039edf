"""People are found by any part of their name, by number, and by the keys of a phone (C3)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import LocalError, Unavailable
from appliance.phonebook.entry import digest_of, entries_of
from appliance.phonebook.folding import folded
from appliance.phonebook.index import Phonebook, build
from tests.phonebook.office import bundle


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Phonebook:
    file = tmp_path_factory.mktemp("directory") / "directory.db"
    entries = entries_of(bundle())
    build(file, entries, digest_of(entries))
    return Phonebook(file)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("ana silva", ["Ana Silva", "Silvan Ana-Maria"]),
        ("ANA", ["Ana Silva", "Silvan Ana-Maria"]),
        ("silva", ["Silvan Ana-Maria", "Ana Silva"]),
        ("silva ana", ["Ana Silva", "Silvan Ana-Maria"]),
        ("rianna", ["Brianna O'Connor"]),
        ("joao", ["João Müller"]),
        ("MULLER", ["João Müller"]),
        ("MÜLL", ["João Müller"]),
        ("lukasz weiss", ["Łukasz Weiß"]),
        ("o'c", ["Brianna O'Connor"]),
        ("na", ["Ana Silva", "Brianna O'Connor", "Silvan Ana-Maria"]),
        ("t", ["Taxi", "100% AND (NOT*)", "Night desk"]),
        ("si an", ["Ana Silva", "Silvan Ana-Maria"]),
        ("example", ["Silvan Ana-Maria", "Taxi"]),
        ("radiology", ["João Müller"]),
        ("muller radio", ["João Müller"]),
        ("ana.silva", ["Ana Silva"]),
        ("night", ["Night desk"]),
        ("zzz", []),
        ("q", []),
    ],
)
def test_a_part_of_a_name(book: Phonebook, asked: str, names: list[str]) -> None:
    assert [entry.name for entry in book.search(asked)] == names


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("1001", ["Ana Silva"]),
        ("+13125550101", ["Ana Silva"]),
        ("001 312 555 0101", ["Ana Silva"]),
        ("(312) 555-0101", ["Ana Silva"]),
        ("5557788", ["Ana Silva"]),
        ("0446681800", ["Silvan Ana-Maria"]),
        ("668 18", ["Silvan Ana-Maria"]),
        ("22", ["Taxi"]),
        ("7000", ["Night desk"]),
        ("1312555", ["100% AND (NOT*)", "Ana Silva"]),
        ("99999", []),
    ],
)
def test_a_number_however_it_is_written(book: Phonebook, asked: str, names: list[str]) -> None:
    assert [entry.name for entry in book.search(asked)] == names


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("26274582", ["Ana Silva"]),
        ("262", ["Ana Silva", "Silvan Ana-Maria"]),
        ("7458226", ["Ana Silva"]),
        ("745826", ["Silvan Ana-Maria"]),
        ("262 07458", ["Ana Silva"]),
        ("685", ["João Müller"]),
        ("2", ["Ana Silva", "Brianna O'Connor", "Silvan Ana-Maria"]),
        ("99", []),
    ],
)
def test_the_keys_of_a_phone(book: Phonebook, keys: str, names: list[str]) -> None:
    found = [entry.name for entry in book.spelt(keys)]
    assert [name for name in found if not name.startswith("100%")] == names


def test_an_entry_says_all_that_is_known(book: Phonebook) -> None:
    [ana] = book.search("1001")
    assert (ana.kind, ana.mobile, ana.title) == ("user", "+13125557788", "Head nurse")
    assert ana.dialled() == ("1001", "+13125550101", "+13125557788")


def test_signs_of_a_query_language_are_letters(book: Phonebook) -> None:
    assert [entry.name for entry in book.search("100% and (not*)")] == ["100% AND (NOT*)"]
    assert book.search('ana" OR "taxi') == []
    assert book.search("ana*") == []


@given(st.text(max_size=40))
def test_no_question_breaks_it(book: Phonebook, asked: str) -> None:
    try:
        found = book.search(asked)
    except LocalError:
        assert not folded(asked)
    else:
        assert len(found) <= 50


def test_no_more_than_was_asked_for(book: Phonebook) -> None:
    assert [entry.name for entry in book.search("ana", limit=1)] == ["Ana Silva"]
    for limit in (0, -1, 201):
        with pytest.raises(LocalError, match="limit must be 1 to 200"):
            book.search("ana", limit)


@pytest.mark.parametrize("keys", ["", "0", "ana", "2*", "٢"])
def test_what_spells_nothing_is_refused(book: Phonebook, keys: str) -> None:
    with pytest.raises(LocalError, match="spells nothing"):
        book.spelt(keys)


def test_a_question_without_a_word_is_refused(book: Phonebook) -> None:
    with pytest.raises(LocalError, match="what to look for"):
        book.search("  ")


def test_another_version_or_a_broken_file_is_no_directory(tmp_path: Path) -> None:
    file = tmp_path / "directory.db"
    with pytest.raises(Unavailable, match="no directory"):
        Phonebook(file)
    file.write_bytes(b"SQLite format 3\0" + b"garbage" * 500)
    with pytest.raises(Unavailable, match="no directory"):
        Phonebook(file)
    build(file, [], "")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE about SET form = 0")
    database.close()
    with pytest.raises(Unavailable, match="another version"):
        Phonebook(file)
