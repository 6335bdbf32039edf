"""What people dial in seven countries, what it means, and by which rule (E4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from appliance.bundle import NumberPlan
from sbc_bridge.numbers import Numbers
from tests.trunk.outside import trunk_bundle

N, A, P, S = "national", "international", "premium", "short"


class Country(NamedTuple):
    """A site's plan and what is dialled there: digits to number, kind and a word of its rule."""

    plan: dict[str, Any]
    dialled: dict[str, tuple[str, str, str]]


TABLE = {
    "US": Country(
        {"outside_prefix": "9", "area_code": "312", "short_numbers": ("411", "611")},
        {
            "93125550100": ("+13125550100", N, "outside prefix 9"),
            "913125550100": ("+13125550100", N, "outside prefix 9"),
            "95550100": ("+13125550100", N, "area code 312"),
            "99015550": ("+13129015550", N, "area code 312"),
            "92125550100": ("+12125550100", N, "national"),
            "912125550100": ("+12125550100", N, "national"),
            "918005551234": ("+18005551234", N, "national"),
            "918885551234": ("+18885551234", N, "national"),
            "98445551234": ("+18445551234", N, "national"),
            "919005551234": ("+19005551234", P, "premium"),
            "99005551234": ("+19005551234", P, "premium"),
            "912425551234": ("+12425551234", A, "international"),
            "918765551234": ("+18765551234", A, "international"),
            "918095551234": ("+18095551234", A, "international"),
            "914165551234": ("+14165551234", A, "international"),
            "917875551234": ("+17875551234", A, "international"),
            "9011442079460000": ("+442079460000", A, "011"),
            "901149301234567": ("+49301234567", A, "011"),
            "9011331423456781": ("", "unknown", "no number"),
            "901133142345678": ("+33142345678", A, "011"),
            "9011819012345678": ("+819012345678", A, "011"),
            "901161412345678": ("+61412345678", A, "011"),
            "9011919820012345": ("+919820012345", A, "011"),
            "9011881612345678": ("+881612345678", P, "premium"),
            "+13125550100": ("+13125550100", N, "national"),
            "+442079460000": ("+442079460000", A, "international"),
            "9(312) 555-0100": ("+13125550100", N, "national"),
            "9411": ("411", S, "short"),
            "9611": ("611", S, "short"),
            "9711": ("", "unknown", "no number"),
            "93125": ("", "unknown", "no number"),
        },
    ),
    "GB": Country(
        {"outside_prefix": "9", "area_code": "20", "short_numbers": ("101", "111", "123")},
        {
            "902079460000": ("+442079460000", N, "national"),
            "979460000": ("+442079460000", N, "area code 20"),
            "901132345678": ("+441132345678", N, "national"),
            "901614960000": ("+441614960000", N, "national"),
            "901224123456": ("+441224123456", N, "national"),
            "907700900123": ("+447700900123", N, "national"),
            "907400123456": ("+447400123456", N, "national"),
            "908001111111": ("+448001111111", N, "national"),
            "908081570000": ("+448081570000", N, "national"),
            "903001234567": ("+443001234567", N, "national"),
            "903331234567": ("+443331234567", N, "national"),
            "908451234567": ("+448451234567", P, "premium"),
            "909011234567": ("+449011234567", P, "premium"),
            "909061234567": ("+449061234567", P, "premium"),
            "909098765432": ("+449098765432", P, "premium"),
            "90012125550100": ("+12125550100", A, "international"),
            "90018005551234": ("+18005551234", A, "international"),
            "900353861234567": ("+353861234567", A, "international"),
            "90033142345678": ("+33142345678", A, "international"),
            "900491761234567": ("+491761234567", A, "international"),
            "901534712345": ("+441534712345", A, "international"),
            "907797712345": ("+447797712345", A, "international"),
            "901624756789": ("+441624756789", A, "international"),
            "900881612345678": ("+881612345678", P, "premium"),
            "+442079460000": ("+442079460000", N, "national"),
            "+12125550100": ("+12125550100", A, "international"),
            "9101": ("101", S, "short"),
            "9123": ("123", S, "short"),
            "902": ("", "unknown", "no number"),
            "9020 7946 0000": ("+442079460000", N, "national"),
        },
    ),
    "DE": Country(
        {"outside_prefix": "0", "area_code": "30", "short_numbers": ("115", "116117")},
        {
            "0030123456": ("+4930123456", N, "national"),
            "0123456": ("+4930123456", N, "area code 30"),
            "012345678": ("+493012345678", N, "area code 30"),
            "0089123456": ("+4989123456", N, "national"),
            "00401234567": ("+49401234567", N, "national"),
            "00221123456": ("+49221123456", N, "national"),
            "007111234567": ("+497111234567", N, "national"),
            "0017612345678": ("+4917612345678", N, "national"),
            "0015112345678": ("+4915112345678", N, "national"),
            "001701234567": ("+491701234567", N, "national"),
            "008001234567": ("+498001234567", N, "national"),
            "00321234567": ("+49321234567", N, "national"),
            "009001234567": ("+499001234567", P, "premium"),
            "009003123456": ("+499003123456", P, "premium"),
            "009005123456": ("+499005123456", P, "premium"),
            "000442079460000": ("+442079460000", A, "international"),
            "00012125550100": ("+12125550100", A, "international"),
            "00043112345678": ("+43112345678", A, "international"),
            "00041446681800": ("+41446681800", A, "international"),
            "00033142345678": ("+33142345678", A, "international"),
            "00048221234567": ("+48221234567", A, "international"),
            "000881612345678": ("+881612345678", P, "premium"),
            "000979123456789": ("+979123456789", P, "premium"),
            "+4930123456": ("+4930123456", N, "national"),
            "+41446681800": ("+41446681800", A, "international"),
            "0115": ("115", S, "short"),
            "0116117": ("116117", S, "short"),
            "0030 12 34 56": ("+4930123456", N, "national"),
        },
    ),
    "FR": Country(
        {"outside_prefix": "0", "short_numbers": ("3631", "116000")},
        {
            "00142345678": ("+33142345678", N, "national"),
            "00242345678": ("+33242345678", N, "national"),
            "00342345678": ("+33342345678", N, "national"),
            "00442345678": ("+33442345678", N, "national"),
            "00542345678": ("+33542345678", N, "national"),
            "00612345678": ("+33612345678", N, "national"),
            "00712345678": ("+33712345678", N, "national"),
            "00801123456": ("+33801123456", N, "national"),
            "00805123456": ("+33805123456", N, "national"),
            "00912345678": ("+33912345678", N, "national"),
            "00950123456": ("+33950123456", N, "national"),
            "00891123456": ("+33891123456", P, "premium"),
            "00892123456": ("+33892123456", P, "premium"),
            "00899123456": ("+33899123456", P, "premium"),
            "000442079460000": ("+442079460000", A, "international"),
            "00012125550100": ("+12125550100", A, "international"),
            "0004930123456": ("+4930123456", A, "international"),
            "00041446681800": ("+41446681800", A, "international"),
            "00032471234567": ("+32471234567", A, "international"),
            "00034912345678": ("+34912345678", A, "international"),
            "00039063123456": ("+39063123456", A, "international"),
            "000262262123456": ("+262262123456", A, "international"),
            "000881612345678": ("+881612345678", P, "premium"),
            "+33142345678": ("+33142345678", N, "national"),
            "+442079460000": ("+442079460000", A, "international"),
            "03631": ("3631", S, "short"),
            "0116000": ("116000", S, "short"),
            "001 42 34 56 78": ("+33142345678", N, "national"),
            "001": ("", "unknown", "no number"),
        },
    ),
    "IN": Country(
        {"outside_prefix": "0", "area_code": "22", "short_numbers": ("198", "1947")},
        {
            "002226000000": ("+912226000000", N, "national"),
            "026000000": ("+912226000000", N, "area code 22"),
            "026543210": ("+912226543210", N, "area code 22"),
            "001123456789": ("+911123456789", N, "national"),
            "004423456789": ("+914423456789", N, "national"),
            "008026543210": ("+918026543210", N, "national"),
            "003323456789": ("+913323456789", N, "national"),
            "09820012345": ("+919820012345", N, "national"),
            "009820012345": ("+919820012345", N, "national"),
            "08800012345": ("+918800012345", N, "national"),
            "07700012345": ("+917700012345", N, "national"),
            "06200012345": ("+916200012345", N, "national"),
            "018001234567": ("+9118001234567", N, "national"),
            "01800123456": ("+911800123456", N, "national"),
            "000442079460000": ("+442079460000", A, "international"),
            "00012125550100": ("+12125550100", A, "international"),
            "0004930123456": ("+4930123456", A, "international"),
            "0006561234567": ("+6561234567", A, "international"),
            "000971501234567": ("+971501234567", A, "international"),
            "000819012345678": ("+819012345678", A, "international"),
            "00061412345678": ("+61412345678", A, "international"),
            "000881612345678": ("+881612345678", P, "premium"),
            "+912226000000": ("+912226000000", N, "national"),
            "+919820012345": ("+919820012345", N, "national"),
            "+6561234567": ("+6561234567", A, "international"),
            "0198": ("198", S, "short"),
            "01947": ("1947", S, "short"),
            "098200 12345": ("+919820012345", N, "national"),
        },
    ),
    "AU": Country(
        {"outside_prefix": "0", "area_code": "2", "short_numbers": ("1223", "12455")},
        {
            "00291234567": ("+61291234567", N, "national"),
            "091234567": ("+61291234567", N, "area code 2"),
            "098765432": ("+61298765432", N, "area code 2"),
            "00391234567": ("+61391234567", N, "national"),
            "00731234567": ("+61731234567", N, "national"),
            "00861234567": ("+61861234567", N, "national"),
            "00412345678": ("+61412345678", N, "national"),
            "00491570156": ("+61491570156", N, "national"),
            "01300123456": ("+611300123456", N, "national"),
            "01800123456": ("+611800123456", N, "national"),
            "0131444": ("+61131444", N, "national"),
            "01900123456": ("+611900123456", P, "premium"),
            "01902123456": ("+611902123456", P, "premium"),
            "0001112125550100": ("+12125550100", A, "international"),
            "00011442079460000": ("+442079460000", A, "international"),
            "000114930123456": ("+4930123456", A, "international"),
            "000116493661234": ("+6493661234", A, "international"),
            "000116561234567": ("+6561234567", A, "international"),
            "00011819012345678": ("+819012345678", A, "international"),
            "0001133142345678": ("+33142345678", A, "international"),
            "00011919820012345": ("+919820012345", A, "international"),
            "00011881612345678": ("+881612345678", P, "premium"),
            "+61291234567": ("+61291234567", N, "national"),
            "+6493661234": ("+6493661234", A, "international"),
            "01223": ("1223", S, "short"),
            "012455": ("12455", S, "short"),
            "002 9123 4567": ("+61291234567", N, "national"),
            "00": ("", "unknown", "no number"),
        },
    ),
    "JP": Country(
        {"outside_prefix": "0", "area_code": "3", "short_numbers": ("104", "117", "177")},
        {
            "00312345678": ("+81312345678", N, "national"),
            "012345678": ("+81312345678", N, "area code 3"),
            "055551234": ("+81355551234", N, "area code 3"),
            "00612345678": ("+81612345678", N, "national"),
            "00521234567": ("+81521234567", N, "national"),
            "00112345678": ("+81112345678", N, "national"),
            "009012345678": ("+819012345678", N, "national"),
            "008012345678": ("+818012345678", N, "national"),
            "007012345678": ("+817012345678", N, "national"),
            "005012345678": ("+815012345678", N, "national"),
            "00120123456": ("+81120123456", N, "national"),
            "008001234567": ("+818001234567", N, "national"),
            "00990123456": ("+81990123456", P, "premium"),
            "001012125550100": ("+12125550100", A, "international"),
            "0010442079460000": ("+442079460000", A, "international"),
            "00104930123456": ("+4930123456", A, "international"),
            "001033142345678": ("+33142345678", A, "international"),
            "0010861012345678": ("+861012345678", A, "international"),
            "001082212345678": ("+82212345678", A, "international"),
            "00106561234567": ("+6561234567", A, "international"),
            "001061412345678": ("+61412345678", A, "international"),
            "0010919820012345": ("+919820012345", A, "international"),
            "0010881612345678": ("+881612345678", P, "premium"),
            "+81312345678": ("+81312345678", N, "national"),
            "+82212345678": ("+82212345678", A, "international"),
            "0104": ("104", S, "short"),
            "0117": ("117", S, "short"),
            "0177": ("177", S, "short"),
            "003-1234-5678": ("+81312345678", N, "national"),
        },
    ),
}

ROWS = [
    (country, dialled, *expected)
    for country, (_, rows) in TABLE.items()
    for dialled, expected in rows.items()
]
READERS: dict[str, Numbers] = {}


def reader(country: str) -> Numbers:
    if country not in READERS:
        plan = NumberPlan(country=country, **TABLE[country].plan)
        READERS[country] = Numbers(replace(trunk_bundle(), number_plan=plan))
    return READERS[country]


def test_there_are_two_hundred() -> None:
    assert len(ROWS) >= 200


@pytest.mark.parametrize(("country", "dialled", "number", "kind", "rule"), ROWS)
def test_what_is_dialled(country: str, dialled: str, number: str, kind: str, rule: str) -> None:
    reading = reader(country).read(dialled)
    assert reading is not None
    assert (reading.number, reading.kind) == (number, kind), reading.trail
    assert any(rule in line for line in reading.trail), reading.trail
    assert bool(reading.refusal) == (kind == "unknown")


@pytest.mark.parametrize(
    "dialled", ["", "9", "3125550100", "alice", "*72", "9" + "1" * 40, "9<script>", "9\u0661\u0662"]
)
def test_what_is_no_outside_number_is_nothing_outside(dialled: str) -> None:
    reading = reader("US").read(dialled)
    assert reading is None or reading.refusal


@pytest.mark.parametrize(
    ("style", "number", "written"),
    [
        ("e164", "+442079460000", "+442079460000"),
        ("digits", "+442079460000", "442079460000"),
        ("national", "+442079460000", "02079460000"),
        ("national", "+12125550100", "0012125550100"),
        ("national", "101", "101"),
    ],
)
def test_carriers_get_numbers_as_they_want_them(style: str, number: str, written: str) -> None:
    assert reader("GB").written(number, style) == written


@pytest.mark.parametrize(
    ("country", "told", "number"),
    [
        ("GB", "02079460000", "+442079460000"),
        ("GB", "442079460000", "+442079460000"),
        ("GB", "+442079460000", "+442079460000"),
        ("GB", "0012125550100", "+12125550100"),
        ("US", "3125550100", "+13125550100"),
        ("US", "13125550100", "+13125550100"),
        ("DE", "030123456", "+4930123456"),
        ("US", "anonymous", "anonymous"),
    ],
)
def test_what_a_carrier_tells_is_e164(country: str, told: str, number: str) -> None:
    assert reader(country).heard(told) == number
