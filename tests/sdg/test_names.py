"""Names on the keys of a phone."""

from __future__ import annotations

import pytest

from appliance.bundle import User
from sdg.names import Names, on_keys, spellings


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("Silva", "74582"),
        ("Müller", "685537"),
        ("GROẞMANN", "476776266"),
        ("Łukasz", "585279"),
        ("Øystein", "6978346"),
        ("Æther", "238437"),
        ("O'Brien", "627436"),
        ("Nguyễn", "648936"),
        ("Ελένη", ""),
    ],
)
def test_accents_and_case_make_no_difference(word: str, keys: str) -> None:
    assert on_keys(word) == keys


def test_last_name_first_or_first_name_first() -> None:
    assert spellings("Ana Silva") == {on_keys("SilvaAna"), on_keys("AnaSilva")}
    assert on_keys("SilvaAnaMaria") in spellings("Ana Maria Silva")
    assert spellings("Ελένη") == set()


def users(*names: str) -> Names:
    return Names(
        User(id=f"u{place}", name=name, extension=f"{1000 + place}")
        for place, name in enumerate(names)
    )


def test_the_beginning_of_a_name_finds_all_who_have_it() -> None:
    names = users("Ana Silva", "Bruno Silva", "Carla Simões")
    assert [user.name for user in names.find(on_keys("sil"), 5)] == ["Ana Silva", "Bruno Silva"]
    assert [user.name for user in names.find(on_keys("carla"), 5)] == ["Carla Simões"]
    assert len(names.find("7", 2)) == 2


def test_nothing_finds_nobody() -> None:
    names = users("Ana Silva")
    assert names.find("", 5) == names.find("999", 5) == names.find("1*", 5) == []
