"""Names without what nobody types: accents and capitals."""

from __future__ import annotations

import unicodedata

from sdg.names import FOLDED


def folded(text: str) -> str:
    """Return a text in small letters without accents, one space between words (UAX #15, NFKD).

    What nobody can see counts as a space: SQLite ends a text at a zero.
    """
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", text.casefold().translate(FOLDED))
        text = "".join([sign for sign in plain if not unicodedata.combining(sign)])
    if not text.isprintable():
        text = "".join([sign if sign.isprintable() else " " for sign in text])
    return " ".join(text.lower().split())


def digits_of(text: str) -> str:
    """Return the digits of a number that somebody wrote or dialled."""
    return "".join([sign for sign in text if sign.isascii() and sign.isdigit()])


def looks_dialled(text: str) -> bool:
    """Tell a number from a name: two digits at least, and nothing else but what parts them."""
    return len(digits_of(text)) >= 2 and not set(text) - set("0123456789+-()/. *#")
