"""The numbers that call for help: by country, or as the bundle names them (E6)."""

from __future__ import annotations

from typing import Final, NamedTuple

from appliance.bundle.parts import Bundle

SERVICE_URN = "urn:service:sos"
"""What a phone may dial in place of a number, with or without a kind of help behind (RFC 5031)."""

COUNTRIES: Final[dict[str, tuple[str, ...]]] = {
    "AE": ("999", "998", "997", "112"),
    "AR": ("911", "100", "101", "107"),
    "AT": ("112", "122", "133", "144"),
    "AU": ("000", "112", "106"),
    "BE": ("112", "100", "101"),
    "BR": ("190", "192", "193"),
    "CA": ("911",),
    "CH": ("112", "117", "118", "144"),
    "CL": ("131", "132", "133"),
    "CN": ("110", "119", "120", "122"),
    "CO": ("123",),
    "CZ": ("112", "150", "155", "158"),
    "DE": ("112", "110"),
    "DK": ("112",),
    "ES": ("112",),
    "FI": ("112",),
    "FR": ("112", "15", "17", "18", "114"),
    "GB": ("999", "112"),
    "GR": ("112", "100", "166", "199"),
    "HK": ("999", "112"),
    "HU": ("112", "104", "105", "107"),
    "ID": ("112", "110", "118", "113"),
    "IE": ("112", "999"),
    "IL": ("100", "101", "102", "112"),
    "IN": ("112", "100", "101", "102", "108"),
    "IT": ("112", "113", "115", "118"),
    "JP": ("110", "119", "118"),
    "KR": ("112", "119"),
    "LU": ("112", "113"),
    "MX": ("911",),
    "MY": ("999", "112"),
    "NL": ("112",),
    "NO": ("110", "112", "113"),
    "NZ": ("111",),
    "PH": ("911",),
    "PL": ("112", "997", "998", "999"),
    "PT": ("112",),
    "RO": ("112",),
    "RU": ("112", "101", "102", "103"),
    "SE": ("112",),
    "SG": ("999", "995"),
    "TH": ("191", "199", "1669"),
    "TR": ("112",),
    "TW": ("110", "119"),
    "US": ("911",),
    "ZA": ("10111", "10177", "112"),
}
"""By ISO 3166 code, the one that reaches everybody first."""
ELSEWHERE: Final = ("112", "911")
"""In countries that are not listed: what every GSM network takes."""
TESTS: Final[dict[str, tuple[str, ...]]] = {"CA": ("933",), "US": ("933",)}
"""Numbers that read the caller's address back and alert nobody."""


class EmergencyNumber(NamedTuple):
    """A number that calls for help."""

    digits: str
    """Without outside prefix, as the emergency network knows it."""
    test: bool
    """Whether it only proves that an emergency call would succeed."""


def emergency_numbers(bundle: Bundle) -> tuple[str, ...]:
    """Return what calls for help at this site, test numbers too; never empty."""
    country = bundle.number_plan.country
    usual = COUNTRIES.get(country, ELSEWHERE) + TESTS.get(country, ())
    return bundle.emergency_numbers or usual


class EmergencyNumbers:
    """Recognise what calls for help, before anything else is looked at."""

    def __init__(self, bundle: Bundle) -> None:
        numbers = emergency_numbers(bundle)
        tests = TESTS.get(bundle.number_plan.country, ())
        prefix = bundle.number_plan.outside_prefix
        self._known = {digits: EmergencyNumber(digits, digits in tests) for digits in numbers}
        self.first = numbers[0]
        """What `urn:service:sos` stands for."""
        if prefix:
            self._known |= {
                prefix + digits: number
                for digits, number in list(self._known.items())
                if prefix + digits not in self._known
            }

    def find(self, dialled: str) -> EmergencyNumber | None:
        """Return the number that was dialled, directly or with the outside prefix, if it is one."""
        if dialled[: len(SERVICE_URN)].lower() == SERVICE_URN:
            return self._known[self.first]
        return self._known.get(dialled)
