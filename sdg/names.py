"""People found by spelling their name on the keys of a phone (D3)."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable

from appliance.bundle import User

KEYS = {
    letter: digit
    for digit, letters in {
        "2": "abc",
        "3": "def",
        "4": "ghi",
        "5": "jkl",
        "6": "mno",
        "7": "pqrs",
        "8": "tuv",
        "9": "wxyz",
    }.items()
    for letter in letters
}
"""Letters on the keys (ITU-T E.161)."""

FOLDED = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i"}
)
"""Letters that are no letter of the keys with an accent."""


class Names:
    """The users of a site by what their names are on the keys; built when a bundle is applied."""

    def __init__(self, users: Iterable[User]) -> None:
        entries = [(keys, user) for user in users for keys in spellings(user.name)]
        entries.sort(key=lambda entry: (entry[0], entry[1].extension))
        self._keys = [keys for keys, _ in entries]
        self._users = [user for _, user in entries]

    def find(self, digits: str, limit: int) -> list[User]:
        """Return the users whose name begins so, last name or first name first; at most `limit`."""
        found: dict[str, User] = {}
        index = bisect_left(self._keys, digits)
        while digits and index < len(self._keys) and len(found) < limit:
            if not self._keys[index].startswith(digits):
                break
            user = self._users[index]
            found[user.id] = user
            index += 1
        return list(found.values())


def spellings(name: str) -> set[str]:
    """Return what somebody may press for a name: each part of it first, then the others."""
    parts = [keys for part in name.split() if (keys := on_keys(part))]
    turned = {"".join(parts[at:] + parts[:at]) for at in range(len(parts))}
    return turned | {"".join([parts[-1], *parts[:-1]])} if parts else set()


def on_keys(text: str) -> str:
    """Return the keys of a word's letters, accents and case folded; other signs are left out."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(FOLDED))
    return "".join(KEYS.get(letter, "") for letter in plain)
