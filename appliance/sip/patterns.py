"""Shapes of the parts of headers, for patterns that read many headers in one match.

They are linear: each repetition is possessive over one class of characters, none of which is a
line break. None of them has a group.
"""

from __future__ import annotations

from typing import Final

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"
TEXT: Final = r"[ -~\x80-\uffff]*+"
HOST: Final = r"(?:[A-Za-z0-9.\-]++|\[[0-9A-Fa-f:.]{2,45}\])"
PORT_LIMIT: Final = r"(?!6[5-9][0-9]{3}|[7-9][0-9]{4})"
"""Stands before the digits of a port: those near the limit are for the strict scanners."""
PORT: Final = rf"(?::{PORT_LIMIT}[0-9]{{1,5}}+)?"
USER: Final = r"[A-Za-z0-9\-_.!~*'()&=+$,]++"
"""The user part of a URI, without escapes and password."""
NAME: Final = rf"""(?:"[ !#-\[\]-~\x80-\uffff]*+" ?|{TOKEN} )?"""
"""A display name with the space behind it, or nothing."""
ADDRESS: Final = rf"{NAME}<sips?:(?:{USER}@)?{HOST}{PORT}>"
"""A name-addr whose URI has no parameters."""
