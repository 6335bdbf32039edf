"""What an admin may not write about the trunk, each with its path and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bundle.test_bundle_rules import check, user

SBC = {"host": "sbc.example.net"}
ALICE = user("a", "1001", numbers=["+13125550101"])


def group(**more: Any) -> dict[str, Any]:
    return {"id": "main", "sbcs": [SBC], **more}


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"route_groups": [group(ca="x")]},
            "route_groups[0].ca: not a PEM certificate; paste it with its BEGIN line",
        ),
        (
            {"route_groups": [group(crl="x")]},
            "route_groups[0].crl: not a PEM revocation list; paste it with its BEGIN line",
        ),
        (
            {"route_groups": [group(headers=[{"name": "contact", "value": "x"}])]},
            "route_groups[0].headers[0].name: `contact` is written by Holdfast itself",
        ),
        (
            {"route_groups": [group(headers=[{"name": "A B", "value": "x"}])]},
            'route_groups[0].headers[0].name: "A B" does not fit; write the name of a header',
        ),
        (
            {"route_groups": [group(codecs=["pcmu", "pcmu"])]},
            "route_groups[0].codecs[1]: `pcmu` is also at route_groups[0].codecs[0]",
        ),
        (
            {"route_groups": [group(codecs=["g711"])]},
            'route_groups[0].codecs[0]: "g711" does not fit',
        ),
        (
            {"route_groups": [group(prefixes=["91"])], "number_plan": {"outside_prefix": "9"}},
            "route_groups[0].prefixes[0]: `91` and the outside prefix `9` begin alike",
        ),
        (
            {"trunk_numbers": [{"number": "+13125550100"}]},
            "trunk_numbers[0]: leads nowhere; name its `cloud_numbers` or a `target`",
        ),
        (
            {"users": [ALICE], "trunk_numbers": [{"number": "+13125550101", "target": "1001"}]},
            "trunk_numbers[0].number: `+13125550101` rings a user or group itself",
        ),
        (
            {"trunk_numbers": [{"number": "+13125550100", "cloud_numbers": ["+13125550109"]}]},
            "trunk_numbers[0].cloud_numbers[0]: `+13125550109` rings nobody",
        ),
        (
            {"trunk_numbers": [{"number": "+13125550100", "target": "1009"}]},
            "trunk_numbers[0].target: nothing has the extension `1009`",
        ),
        (
            {"number_plan": {"country": "XX"}},
            "number_plan.country: no number plan is known of `XX`",
        ),
        (
            {"number_plan": {"rules": [{"begins": "1", "route_groups": ["x"]}]}},
            "number_plan.rules[0].route_groups[0]: there is no route group `x`; mend the id",
        ),
        (
            {"number_plan": {"rules": [{"begins": "1"}, {"begins": "1"}]}},
            "number_plan.rules[1].begins: `1` is also at number_plan.rules[0].begins",
        ),
        (
            {"users": [user("a", "1001", rules=[{"begins": "1", "refuse": True, "becomes": "2"}])]},
            "users[0].rules[0]: refuses and leads on at once; remove `refuse`, or all else",
        ),
        (
            {"number_plan": {"limits": {"per_minute": 0}}},
            "number_plan.limits.per_minute: 0 does not fit",
        ),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(sections: dict[str, Any], problem: str) -> None:
    found = check(**sections)
    assert any(line.startswith(problem) for line in found), found


def test_a_whole_trunk_is_taken() -> None:
    sections = {
        "users": [ALICE | {"rules": [{"begins": "00", "refuse": True}], "premium": True}],
        "route_groups": [
            group(
                codecs=["opus", "g722", "pcmu", "pcma", "g729"],
                headers=[{"name": "X-Account", "value": "{caller}"}],
                prefixes=["6"],
                number_format="national",
            )
        ],
        "trunk_numbers": [{"number": "+13125550100", "cloud_numbers": ["+13125550101"]}],
        "number_plan": {"outside_prefix": "9", "rules": [{"begins": "7", "becomes": "312555"}]},
    }
    assert check(**sections) == []
