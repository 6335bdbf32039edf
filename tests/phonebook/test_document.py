"""The page for admins: its example is a bundle, and its questions find whom it says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from appliance.bundle import Bundle, decode, warnings
from appliance.phonebook.entry import entries_of
from appliance.phonebook.index import Phonebook, build
from tests.phones import site_bundle

PAGE = Path(__file__).parents[2] / "docs" / "directory.md"


def example() -> Bundle:
    block, *_ = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    plain = msgspec.to_builtins(site_bundle()) | msgspec.json.decode(block)
    return decode(msgspec.json.encode(plain))


def test_the_example_is_a_bundle_without_a_doubt() -> None:
    assert warnings(example()) == []


@pytest.mark.parametrize(
    ("asked", "name"), [("ana sil", "Ana Silva"), ("5550199", "Taxi"), ("044", None)]
)
def test_the_questions_find_whom_the_page_says(
    tmp_path: Path, asked: str, name: str | None
) -> None:
    build(tmp_path / "directory.db", entries_of(example()), "")
    book = Phonebook(tmp_path / "directory.db")
    assert [entry.name for entry in book.search(asked)] == ([name] if name else [])
    assert [entry.name for entry in book.spelt("7458")] == ["Ana Silva"]
