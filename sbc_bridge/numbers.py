"""What dialled digits mean outside: E.164, and what kind of call that is (E4).

The country's plan comes from phonenumbers, whose tables are all read when the bundle is applied; a
number then takes some 60 us. Every decision leaves a line in the trail, which `holdfast dial test`
prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec
import phonenumbers
from msgspec.structs import replace
from phonenumbers import PhoneNumber, PhoneNumberType, ValidationResult
from phonenumbers.phonemetadata import PhoneMetadata

from appliance.bundle import Bundle, DialRule

Kind = Literal["private", "short", "national", "international", "premium", "unknown"]

DEAR: Final = ("+870", "+878", "+881", "+882", "+883", "+979")
"""Satellites and networks of no country: dear everywhere, and what fraud is made of."""
_is_number = re.compile(r"\+?[0-9().\- ]{1,32}").fullmatch
_BETWEEN = str.maketrans("", "", "(). -")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has dialled."""

    dialled: str
    number: str = ""
    """E.164 with plus; for `private` and `short` the digits as the SBC gets them."""
    kind: Kind = "unknown"
    anonymous: bool = False
    """The caller has dialled the code that hides who calls."""
    route_groups: tuple[str, ...] = ()
    """Ids of the route groups to use; empty: all, in the order of the bundle."""
    refusal: str = ""
    """Why nobody may call it; empty: that depends on who calls."""
    trail: tuple[str, ...] = ()
    """How it came to this, a sentence for each rule."""


class Numbers:
    """Read dialled digits by one bundle's plan."""

    def __init__(self, bundle: Bundle) -> None:
        plan = bundle.number_plan
        self._plan = plan
        self._country = plan.country
        tables = PhoneMetadata.metadata_for_region(plan.country)
        trunk_prefix = tables.national_prefix if tables is not None else None
        self._beginnings = ("+", trunk_prefix) if trunk_prefix else ("+",)
        """What a number begins with that is not local."""
        self._private = {
            prefix: group.id for group in bundle.route_groups for prefix in group.prefixes
        }
        PhoneMetadata.load_all()  # from files: 45 ms once, and never while somebody calls
        self.read("+12125550100")

    def read(self, dialled: str, own: tuple[DialRule, ...] = ()) -> Reading | None:
        """Return what the digits mean; None: nothing outside. `own` are the caller's rules."""
        reading = Reading(dialled=dialled)
        code = self._plan.anonymous_code
        if code and dialled.startswith(code) and len(dialled) > len(code):
            reading = _noted(reading, f"{code}: the caller is not shown", anonymous=True)
            dialled = dialled[len(code) :]
        private = max((p for p in self._private if dialled.startswith(p)), key=len, default="")
        if private and dialled.isdigit():
            group = self._private[private]
            text = f"prefix {private} of route group {group}: dialled as it is"
            return _noted(reading, text, number=dialled, kind="private", route_groups=(group,))
        if not _is_number(dialled):
            return None
        digits = dialled.translate(_BETWEEN)
        prefix = self._plan.outside_prefix
        if prefix and not digits.startswith("+"):
            if not digits.startswith(prefix) or len(digits) == len(prefix):
                return None
            digits = digits[len(prefix) :]
            reading = _noted(reading, f"outside prefix {prefix}: {digits} is dialled outside")
        return self._outside(reading, digits, own)

    def _outside(self, reading: Reading, digits: str, own: tuple[DialRule, ...]) -> Reading:
        rule = _longest(digits, own, self._plan.rules)
        if rule is not None:
            digits = _written(digits, rule)
            reading = _applied(reading, rule, digits)
        if digits in self._plan.short_numbers:
            reading = _noted(reading, f"{digits} is a short number", number=digits, kind="short")
        else:
            reading = self._full(reading, digits)
        if reading.number.startswith("+") and not digits.startswith("+"):
            rule = _longest(reading.number, own, self._plan.rules)
            if rule is not None:
                number = _written(reading.number, rule)
                reading = _applied(reading, rule, number)
                if number != reading.number:
                    reading = self._full(reading, number)
        return self._checked(reading)

    def _checked(self, reading: Reading) -> Reading:
        for beginning in self._plan.blocked:
            if reading.number.startswith(beginning) or reading.dialled.startswith(beginning):
                text = f"numbers that begin with {beginning} are blocked at this site"
                return _noted(reading, text, refusal=text)
        return reading

    def _full(self, reading: Reading, digits: str) -> Reading:
        parsed = self._parsed(digits)
        found = self._local(digits)
        if found is not None:
            parsed = found
            reading = _noted(reading, f"area code {self._plan.area_code} is put before {digits}")
        if parsed is None:
            text = f"{digits} is no number that can be called from {self._country}"
            return _noted(reading, text, refusal=text)
        number = e164(parsed)
        kind = self._kind(parsed, number)
        return _noted(reading, f"{digits} is {number}, {kind}", number=number, kind=kind)

    def _local(self, digits: str) -> PhoneNumber | None:
        """Return the number where the area code before it makes it a valid one."""
        area = self._plan.area_code
        if not area or digits.startswith(self._beginnings):
            return None
        code = phonenumbers.country_code_for_region(self._country)
        try:
            number = phonenumbers.parse(f"+{code}{area}{digits}", None)
        except phonenumbers.NumberParseException:
            return None
        return number if phonenumbers.is_valid_number(number) else None

    def _parsed(self, digits: str) -> PhoneNumber | None:
        """Return a number that has a possible length; ranges may be newer than our tables."""
        try:
            number = phonenumbers.parse(digits, self._country)
        except phonenumbers.NumberParseException:
            return None
        possible = phonenumbers.is_possible_number_with_reason(number)
        return number if possible == ValidationResult.IS_POSSIBLE else None

    def _kind(self, number: PhoneNumber, text: str) -> Kind:
        premium = phonenumbers.number_type(number) == PhoneNumberType.PREMIUM_RATE
        if premium or text.startswith(DEAR):
            return "premium"
        region = phonenumbers.region_code_for_number(number)
        home = phonenumbers.country_code_for_region(self._country)
        if region == self._country or (region is None and number.country_code == home):
            return "national"
        return "international"

    def written(self, number: str, style: str) -> str:
        """Return an E.164 number as a carrier wants it; what is none stays as it is."""
        if style == "e164" or not number.startswith("+"):
            return number
        if style == "digits":
            return number[1:]
        parsed = phonenumbers.parse(number, None)
        shown = phonenumbers.format_out_of_country_calling_number(parsed, self._country)
        if parsed.country_code == phonenumbers.country_code_for_region(self._country):
            shown = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
        return "".join(letter for letter in shown if letter.isdigit())

    def heard(self, text: str) -> str:
        """Return a number that an SBC tells as E.164 with plus; what is none as it came."""
        digits = text.translate(_BETWEEN)
        if not _is_number(digits):
            return text
        if not digits.startswith("+") and (number := self._with_plus(digits)):
            return number
        parsed = self._parsed(digits)
        return e164(parsed) if parsed is not None else digits

    def _with_plus(self, digits: str) -> str:
        """Return digits as E.164 where they are that, only without the plus."""
        try:
            number = phonenumbers.parse(f"+{digits}", None)
        except phonenumbers.NumberParseException:
            return ""
        home = phonenumbers.country_code_for_region(self._country)
        ours = number.country_code == home and phonenumbers.is_valid_number(number)
        return e164(number) if ours else ""


def e164(number: PhoneNumber) -> str:
    """Write a number as E.164 with plus."""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _noted(reading: Reading, text: str, **changes: object) -> Reading:
    return replace(reading, trail=(*reading.trail, text), **changes)


def _longest(digits: str, own: Iterable[DialRule], shared: Iterable[DialRule]) -> DialRule | None:
    """Return the rule with the longest beginning that fits; the caller's own win."""
    rules = [rule for rule in (*own, *shared) if digits.startswith(rule.begins)]
    return max(rules, key=lambda rule: len(rule.begins), default=None)


def _written(digits: str, rule: DialRule) -> str:
    if rule.becomes is None:
        return digits
    return rule.becomes + digits[len(rule.begins) :]


def _applied(reading: Reading, rule: DialRule, digits: str) -> Reading:
    if rule.refuse:
        text = f"numbers that begin with {rule.begins} are refused by a rule"
        return _noted(reading, text, refusal=text)
    groups = rule.route_groups or reading.route_groups
    where = f", by {', '.join(rule.route_groups)}" if rule.route_groups else ""
    becomes = f" becomes {digits}" if rule.becomes is not None else ""
    return _noted(reading, f"rule {rule.begins}{becomes}{where}", route_groups=groups)
