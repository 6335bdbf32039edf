"""The kinds of values in a bundle; each `description` tells an admin what to write instead."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

# Python's `$` also matches before a line feed at the end, which must never reach a SIP header.
_END = r"$(?!\n)"
_PLAIN = r"^[^\x00-\x1f\x7f]*" + _END

Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._@+-]+" + _END,
        description="1 to 64 of A-Z a-z 0-9 . _ @ + -",
    ),
]
Extension = Annotated[
    str, Meta(pattern=r"^[0-9*#]{2,15}" + _END, description="2 to 15 of 0-9 * #, as text")
]
Number = Annotated[
    str,
    Meta(pattern=r"^\+[1-9][0-9]{5,14}" + _END, description="E.164 with plus, like +13125550100"),
]
Digits = Annotated[
    str, Meta(pattern=r"^[0-9*#]{1,15}" + _END, description="1 to 15 of 0-9 * #, as text")
]
Target = Annotated[
    str,
    Meta(
        pattern=r"^\+?[A-Za-z0-9*#._-]{1,64}" + _END,
        description="an extension, an alias or a number as it is dialled",
    ),
]
Code = Annotated[
    str,
    Meta(
        pattern=r"^([*#][0-9*#]{1,7})?" + _END,
        description="a code like *72, 2 to 8 of 0-9 * # with * or # in front; or nothing",
    ),
]
Orbit = Annotated[str, Meta(pattern=r"^[0-9]{2,15}" + _END, description="2 to 15 digits, as text")]
Hex32 = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{32}" + _END, description="32 hexadecimal digits, lower case")
]
Hex64 = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}" + _END, description="64 hexadecimal digits, lower case")
]
CryptHash = Annotated[
    str,
    Meta(
        pattern=r"^\$6\$(rounds=[0-9]{4,6}\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}" + _END,
        description="a SHA-512 crypt hash, as `openssl passwd -6` prints it",
    ),
]
Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._:-]+" + _END,
        description="a host name or an address, without port or brackets",
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=_PLAIN,
        description="1 to 128 characters without line feeds or other controls",
    ),
]
Realm = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r'^[^\x00-\x1f\x7f"\\]+' + _END,
        description="a digest realm, without quotes, backslashes or controls",
    ),
]
Line = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=_PLAIN,
        description="at most 512 characters without line feeds or other controls",
    ),
]
Text = Annotated[str, Meta(max_length=16_384, description="text of at most 16,384 characters")]
Screen = Annotated[
    str,
    Meta(
        max_length=240,
        pattern=_PLAIN,
        description="at most 240 characters without line feeds: phones have small screens",
    ),
]
Day = Annotated[
    str,
    Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}" + _END, description="a date like 2026-12-25"),
]
Mac = Annotated[
    str,
    Meta(
        pattern=r"^([0-9a-f]{12})?" + _END,
        description="12 hexadecimal digits, lower case, without colons",
    ),
]
OpeningTime = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]" + _END,
        description="a time from 00:00 to 23:59",
    ),
]
ClosingTime = Annotated[
    str,
    Meta(
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)" + _END,
        description="a time from 00:00 to 24:00",
    ),
]
Key = Annotated[str, Meta(pattern=r"^[0-9*#]" + _END, description="one of the keys 0-9 * #")]
WrittenNumber = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        pattern=_PLAIN,
        description="a number of 1 to 32 characters as somebody would write it",
    ),
]
Beginning = Annotated[
    str,
    Meta(
        pattern=r"^\+?[0-9*#]{1,15}" + _END,
        description="the beginning of the numbers to refuse, like +1900",
    ),
]
DialledPart = Annotated[
    str,
    Meta(pattern=r"^\+?[0-9*#]{0,15}" + _END, description="digits to write instead, like +49"),
]
HeaderName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}" + _END,
        description="the name of a header, like X-Account",
    ),
]
Language = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}" + _END,
        description="a language like en, en-GB or de",
    ),
]
Audio = Annotated[
    bytes, Meta(max_length=16 << 20, description="a WAV file of at most 16 MB, in base64")
]
ICalendar = Annotated[
    str, Meta(max_length=131_072, description="an iCalendar of at most 131,072 characters")
]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}" + _END, description="an ISO 3166 code like US")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a port, 1 to 65535")]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000, description="a number of seconds, 0 or more")]
SrtpPolicy = Literal["required", "preferred", "off"]
