"""`holdfast directory`: people found from the command line, as the bundle has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from appliance.bundle import Bundle, Contact
from tests.cli.appliance import Appliance
from tests.phonebook.office import bundle
from tests.system.waiting import until


def apply(appliance: Appliance, content: Bundle) -> None:
    file = appliance.folder / "new.json"
    file.write_bytes(msgspec.json.encode(content))
    assert appliance.run("bundle", "apply", str(file)) == 0


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with closing(Appliance(tmp_path_factory.mktemp("office"))) as made:
        apply(made, bundle())
        until(lambda: made.run("directory", "search", "taxi") == 0, 10, "a directory", str)
        yield made


def test_people_are_listed(office: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert office.run("directory", "search", "muller") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "extension", "numbers", "of", "kind"]
    assert row.split() == ["João", "Müller", "1002", "Radiology", "user"]
    assert office.run("directory", "search", "--t9", "26274582", "--json") == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert entry["mobile"] == "+13125557788"
    assert office.run("directory", "search", "(312)", "555", "0199") == 0
    assert "100% AND (NOT*)" in capsys.readouterr().out


def test_nobody(office: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert office.run("directory", "search", "zzz") == 1
    assert "nobody" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("ana", "--t9", "2"), ("--t9", "ana"), ("--t9", "")])
def test_bad_questions(office: Appliance, words: tuple[str, ...]) -> None:
    assert office.run("directory", "search", *words) == 2


def test_a_new_bundle_brings_new_people(
    office: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    eve = Contact(name="Eve Newcomer", numbers=("333",))
    apply(office, bundle(version=2, contacts=(eve,)))
    until(lambda: office.run("directory", "search", "newcomer") == 0, 10, "the new one", str)
    assert office.run("directory", "search", "taxi") == 1
