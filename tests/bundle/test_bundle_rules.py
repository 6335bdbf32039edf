"""What must hold between the parts of a bundle."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.bundle import BundleError, decode, warnings

SITE = {"id": "s", "name": "S", "code": "821", "domain": "d.example", "realm": "d.example"}
ZONES = [{"id": "a", "host": "a.example"}, {"id": "b", "host": "b.example"}]
HASH = "0" * 32
CRYPT = "$6$abcdefgh$" + "x" * 86


def check(**sections: Any) -> list[str]:
    data = {"version": 1, "site": SITE, "zones": ZONES} | sections
    try:
        decode(msgspec.json.encode(data))
    except BundleError as error:
        return [str(problem) for problem in error.problems]
    return []


def user(name: str, extension: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "extension": extension, **more}


def group(name: str, extension: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "extension": extension, "members": ["a"], **more}


def key(realm: str = "d.example", username: str = "a", **hashes: str) -> dict[str, str]:
    return {"username": username, "realm": realm} | (hashes or {"md5": HASH})


DRILL = {"id": "weekly", "days": ["mon"], "at": "06:30"}
A, B = user("a", "1001"), user("b", "1002")
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("same id", {"users": [A, user("a", "1002")]}, "users[1].id: `a` is also at users[0].id"),
    (
        "same zone twice",
        {"zones": [ZONES[0], {"id": "b", "host": "A.example"}]},
        "zones[1].host: `a.example TLS` is also at zones[0].host",
    ),
    ("zone CA", {"zones": [ZONES[0] | {"ca": "x"}]}, "zones[0].ca: not a PEM certificate"),
    (
        "same directory account",
        {"ldap": {"accounts": [{"name": n, "sha512": CRYPT} for n in ("phones", "Phones")]}},
        "ldap.accounts[1].name: `phones` is also at ldap.accounts[0].name",
    ),
    (
        "a password instead of its hash",
        {"ldap": {"accounts": [{"name": "phones", "sha512": "secret"}]}},
        "ldap.accounts[0].sha512: the value does not fit; write a SHA-512 crypt hash",
    ),
    ("same extension", {"users": [A, user("b", "1001")]}, "users[1].extension: `1001` is also"),
    (
        "alias is an extension",
        {"users": [A, user("b", "1002", aliases=["1001"])]},
        "users[1].aliases[0]: `1001` is also at users[0].extension",
    ),
    (
        "group has a user's extension",
        {"users": [A], "groups": [group("g", "1001")]},
        "groups[0].extension: `1001` is also at users[0].extension",
    ),
    (
        "same number",
        {"users": [user("a", "1001", numbers=["+13125550100"]), B | {"numbers": ["+13125550100"]}]},
        "users[1].numbers[0]: `+13125550100` is also at users[0].numbers[0]",
    ),
    (
        "a drill that never begins",
        {"drills": [DRILL | {"days": []}]},
        "drills[0].days: write either the weekdays in `days` or one date in `day`",
    ),
    (
        "a drill both once and each week",
        {"drills": [DRILL | {"day": "2026-12-01"}]},
        "drills[0].days: write either",
    ),
    (
        "a drill on no day",
        {"drills": [DRILL | {"days": [], "day": "2026-02-30"}]},
        "drills[0].day: `2026-02-30` is not in the calendar",
    ),
    (
        "a drill twice on a weekday",
        {"drills": [DRILL | {"days": ["mon", "mon"]}]},
        "drills[0].days[1]: `mon` is also at drills[0].days[0]",
    ),
    ("same drill", {"drills": [DRILL, DRILL]}, "drills[1].id: `weekly` is also at drills[0].id"),
    ("a drill at no time", {"drills": [DRILL | {"at": "24:00"}]}, "drills[0].at: "),
    ("a drill of nine hours", {"drills": [DRILL | {"minutes": 540}]}, "drills[0].minutes: "),
    (
        "a drill of nobody",
        {"users": [A], "drills": [DRILL | {"who": ["1001", "1009"]}]},
        "drills[0].who[1]: `1009` is no extension, phone or group of this site",
    ),
    (
        "a drill of a menu",
        {
            "users": [A],
            "groups": [group("m", "300", members=[], kind="menu", keys={"1": "1001"})],
            "drills": [DRILL | {"who": ["300"]}],
        },
        "drills[0].who[0]: nobody belongs to `300`",
    ),
    ("911", {"users": [user("a", "911")]}, "users[0].extension: `911` is dialled in an emergency"),
    (
        "911 with prefix",
        {"users": [user("a", "9911")], "number_plan": {"outside_prefix": "9"}},
        "users[0].extension: `9911` is dialled in an emergency",
    ),
    ("site code 911", {"site": SITE | {"code": "911"}}, "site.code: `911` is an emergency number"),
    ("emergency twice", {"emergency_numbers": ["112", "112"]}, "emergency_numbers[1]: `112` is"),
    (
        "extension is a site code",
        {"users": [user("a", "821")]},
        "users[0].extension: `821` is the site code at site.code",
    ),
    (
        "site code and extension",
        {"users": [A, user("b", "8211001")]},
        "users[1].extension: `8211001` is also site code 821 with extension 1001",
    ),
    (
        "codes begin one another",
        {"peers": [{"site": "t", "code": "82", "host": "t.example"}]},
        "site.code: `821` begins with the code `82` at peers[0].code",
    ),
    (
        "peer is ourselves",
        {"peers": [{"site": "s", "code": "822", "host": "t.example"}]},
        "peers[0].site: `s` is also at site.id",
    ),
    (
        "realm missing",
        {"users": [A | {"credentials": [key(realm="other")]}]},
        "users[0].credentials: none is for the realm `d.example` of site.realm",
    ),
    (
        "no hash",
        {"users": [A | {"credentials": [{"username": "a", "realm": "d.example"}]}]},
        "users[0].credentials[0]: has neither `md5` nor `sha256`",
    ),
    (
        "no usable hash",
        {
            "users": [A | {"credentials": [key()]}],
            "policies": {"digest_algorithms": ["SHA-256"]},
        },
        "users[0].credentials[0]: has no hash for policies.digest_algorithms (SHA-256)",
    ),
    (
        "one user name for two",
        {"users": [A | {"credentials": [key()]}, B | {"credentials": [key()]}]},
        "users[1].credentials[0].username: `a d.example` is also at users[0]",
    ),
    ("no location", {"users": [A | {"location": "x"}]}, "users[0].location: there is no location"),
    (
        "phone without user",
        {"devices": [{"id": "p", "users": []}]},
        "devices[0].users: nobody has a line on it",
    ),
    (
        "phone with unknown user",
        {"users": [A], "devices": [{"id": "p", "users": ["a", "z"]}]},
        "devices[0].users[1]: there is no user `z`",
    ),
    (
        "same mac",
        {
            "users": [A],
            "devices": [
                {"id": "p", "users": ["a"], "mac": "0" * 12},
                {"id": "q", "users": ["a"], "mac": "0" * 12},
            ],
        },
        "devices[1].mac: `000000000000` is also at devices[0].mac",
    ),
    (
        "host bits",
        {"locations": [{"id": "l", "name": "L", "networks": ["10.0.0.1/8"]}]},
        "locations[0].networks[0]: `10.0.0.1/8` is an address within a network; write 10.0.0.0/8",
    ),
    (
        "network twice",
        {"locations": [{"id": "l", "name": "L", "networks": ["fd00::/8", "fd00:0::/8"]}]},
        "locations[0].networks[1]: `fd00::/8` is also at locations[0].networks[0]",
    ),
    (
        "time zone",
        {"site": SITE | {"time_zone": "Europe"}},
        "site.time_zone: there is no time zone `Europe`",
    ),
    (
        "time zone outside its folder",
        {"site": SITE | {"time_zone": "../../etc/passwd"}},
        "site.time_zone: there is no time zone",
    ),
    (
        "night window",
        {
            "hours": [
                {
                    "id": "h",
                    "time_zone": "UTC",
                    "windows": [{"days": ["mon"], "opens": "22:00", "closes": "06:00"}],
                }
            ]
        },
        "hours[0].windows[0]: closes before it opens",
    ),
    (
        "holiday",
        {"hours": [{"id": "h", "time_zone": "UTC", "windows": [], "holidays": ["2026-02-30"]}]},
        "hours[0].holidays[0]: `2026-02-30` is not in the calendar",
    ),
    (
        "expiry bounds",
        {"policies": {"min_expires": 200, "max_expires": 100}},
        "policies.min_expires: 200 is more than max_expires 100",
    ),
    ("no algorithm", {"policies": {"digest_algorithms": []}}, "policies.digest_algorithms: empty"),
    ("issued", {"issued": "yesterday"}, "issued: `yesterday` is not an RFC 3339 time"),
    ("issued nowhere", {"issued": "2026-01-01T00:00:00"}, "issued: `2026-01-01T00:00:00` is not"),
    (
        "keys in clear",
        {"route_groups": [{"id": "r", "sbcs": [{"host": "x", "transport": "UDP"}]}]},
        "route_groups[0].sbcs[0].transport: UDP shows the keys of srtp `required`",
    ),
    (
        "two sites with one certificate",
        {
            "peers": [
                {"site": "e", "code": "92", "host": "h.example.com"},
                {"site": "w", "code": "93", "host": "H.example.com"},
            ]
        },
        "peers[1].host: `H.example.com` is also at peers[0].host, and its certificate tells who",
    ),
    (
        "a site that is an SBC as well",
        {
            "route_groups": [{"id": "r", "sbcs": [{"host": "h.example.com"}]}],
            "peers": [{"site": "e", "code": "92", "host": "h.example.com"}],
        },
        "peers[0].host: `h.example.com` is also at route_groups[0].sbcs[0].host",
    ),
    ("no SBC", {"route_groups": [{"id": "r", "sbcs": []}]}, "route_groups[0].sbcs: empty"),
    (
        "DSCP row twice",
        {"dscp": [{"traffic": "t", "name": "EF", "value": 46}] * 2},
        "dscp[1].traffic: `t` is also at dscp[0].traffic",
    ),
    (
        "prompt without anything",
        {"prompts": [{"id": "p", "text": " "}]},
        "prompts[0]: has neither `text` nor `audio`",
    ),
    (
        "prompt that is no recording",
        {"prompts": [{"id": "p", "audio": "TVAz"}]},
        "prompts[0].audio: not a WAV file; save it as WAV",
    ),
    (
        "prompt that is no base64",
        {"prompts": [{"id": "p", "audio": "no base64!"}]},
        'prompts[0].audio: "no base64!" does not fit; write a WAV file',
    ),
    (
        "language",
        {"prompts": [{"id": "p", "text": "x", "language": "English"}]},
        'prompts[0].language: "English" does not fit; write a language like en',
    ),
    ("no member", {"groups": [group("g", "700", members=[])]}, "groups[0].members: empty"),
    ("unknown member", {"groups": [group("g", "700")]}, "groups[0].members[0]: there is no user"),
    (
        "no prompt",
        {"users": [A], "groups": [group("g", "700", prompt="p")]},
        "groups[0].prompt: there is no prompt `p`",
    ),
    (
        "no hours",
        {"users": [A], "groups": [group("g", "700", hours="h")]},
        "groups[0].hours: there are no hours `h`",
    ),
    (
        "menu without keys",
        {"users": [A], "groups": [group("g", "700", kind="menu")]},
        "groups[0].keys: empty",
    ),
    (
        "menu to nowhere",
        {"users": [A], "groups": [group("g", "700", kind="menu", keys={"1": "4444"})]},
        "groups[0].keys.1: nothing has the extension `4444`",
    ),
    (
        "number group without number",
        {"users": [A], "groups": [group("g", "700", kind="number")]},
        "groups[0].number: missing",
    ),
    (
        "user group without user",
        {"users": [A], "groups": [group("g", "700", kind="user")]},
        "groups[0].target: missing; write the extension of the user",
    ),
    (
        "group group to a user",
        {"users": [A], "groups": [group("g", "700", kind="group", target="1001")]},
        "groups[0].target: no group has the extension `1001`",
    ),
    (
        "target group to itself",
        {"users": [A], "groups": [group("g", "700", kind="group", target="700")]},
        "groups[0].target: callers go round: 700 → 700",
    ),
    (
        "circle by number",
        {
            "users": [A],
            "groups": [group("g", "700", numbers=["+13125550100"], busy="+13125550100")],
        },
        "groups[0].busy: callers go round: 700 → 700",
    ),
    (
        "names key taken",
        {
            "users": [A],
            "groups": [group("g", "700", kind="menu", keys={"*": "1001"}, names_key="*")],
        },
        "groups[0].names_key: `*` leads somewhere in `keys`",
    ),
    (
        "unknown sound",
        {"users": [A], "groups": [group("g", "700", hears="x")]},
        "groups[0].hears: there is no prompt `x`; write ring-back, music or a prompt's id",
    ),
    (
        "no ring time",
        {"users": [A], "groups": [group("g", "700", ring_time=0)]},
        "groups[0].ring_time: 0 does not fit",
    ),
    (
        "exception twice",
        {
            "hours": [
                {
                    "id": "h",
                    "time_zone": "UTC",
                    "windows": [],
                    "exceptions": [{"day": "2026-12-24"}, {"day": "2026-12-24"}],
                }
            ]
        },
        "hours[0].exceptions[1].day: `2026-12-24` is also at hours[0].exceptions[0].day",
    ),
    (
        "calendar",
        {"hours": [{"id": "h", "time_zone": "UTC", "windows": [], "calendar": "hello"}]},
        "hours[0].calendar: not an iCalendar that can be read",
    ),
    (
        "group to itself",
        {"users": [A], "groups": [group("g", "700", overflow="700")]},
        "groups[0].overflow: callers go round: 700 → 700",
    ),
    (
        "groups in a circle",
        {
            "users": [A],
            "groups": [
                group("g", "700", overflow="701"),
                group("h", "701", closed="702", overflow="1001"),
                group("i", "702", overflow="700"),
            ],
        },
        "groups[2].overflow: callers go round: 700 → 701 → 702 → 700",
    ),
    (
        "forwarding to nobody",
        {"users": [user("a", "1001", forwarding={"busy": "4711"})]},
        "users[0].forwarding.busy: nothing has the extension `4711`",
    ),
    (
        "forwarding to help",
        {"users": [user("a", "1001", forwarding={"always": "911"})]},
        "users[0].forwarding.always: `911` is for emergencies",
    ),
    (
        "forwarding to help outside",
        {
            "users": [user("a", "1001", forwarding={"always": "9911"})],
            "number_plan": {"outside_prefix": "9"},
        },
        "users[0].forwarding.always: `9911` is for emergencies",
    ),
    (
        "forwarding in a circle",
        {
            "users": [
                user("a", "1001", forwarding={"always": "bee"}),
                user("b", "1002", aliases=["bee"], forwarding={"always": "8211001"}),
            ]
        },
        "users[1].forwarding.always: every call goes round: 1001 → 1002 → 1001",
    ),
    (
        "a code twice",
        {"feature_codes": {"forward_busy": "*72"}},
        "feature_codes.forward_busy: `*72` is also at feature_codes.forward_always",
    ),
    (
        "a code that begins another",
        {"feature_codes": {"do_not_disturb": "*790"}},
        "feature_codes.do_not_disturb: `*790` begins with the code `*79` at feature_codes.",
    ),
    (
        "an extension behind a code",
        {"users": [user("a", "*7211")]},
        "users[0].extension: `*7211` begins with the code `*72` at feature_codes.forward_always",
    ),
    (
        "orbits without a first",
        {"park": {"last": "7709"}},
        "park.first: missing; write the first",
    ),
    (
        "orbits backwards",
        {"park": {"first": "7709", "last": "7701"}},
        "park.last: `7701` does not follow `7709`",
    ),
    (
        "orbits of two lengths",
        {"park": {"first": "99", "last": "101"}},
        "park.last: `101` does not follow `99`",
    ),
    ("too many orbits", {"park": {"first": "7700", "last": "7800"}}, "park.last: more than 100"),
    (
        "an orbit that is an extension",
        {"users": [A], "park": {"first": "1000", "last": "1002"}},
        "park: the orbit `1001` is also an extension",
    ),
    ("an orbit for help", {"park": {"first": "911"}}, "park: `911` is dialled in an emergency"),
    ("an orbit of a site", {"park": {"first": "821"}}, "park: `821` is a site code"),
    (
        "pick-up by nobody",
        {"users": [A], "pickup_groups": [{"id": "p", "members": ["a", "z"]}]},
        "pickup_groups[0].members[1]: there is no user `z`",
    ),
    (
        "pick-up twice",
        {"users": [A], "pickup_groups": [{"id": "p", "members": ["a", "a"]}]},
        "pickup_groups[0].members[1]: `a` is also at pickup_groups[0].members[0]",
    ),
    (
        "pickup groups with one id",
        {
            "users": [A],
            "pickup_groups": [{"id": "p", "members": ["a"]}, {"id": "p", "members": []}],
        },
        "pickup_groups[1].id: `p` is also at pickup_groups[0].id",
    ),
    (
        "a code of digits",
        {"feature_codes": {"do_not_disturb": "78"}},
        'feature_codes.do_not_disturb: "78" does not fit; write a code like *72',
    ),
]


@pytest.mark.parametrize(
    ("sections", "start"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(sections: dict[str, Any], start: str) -> None:
    found = check(**sections)
    assert [text[: len(start)] for text in found] == [start]


def test_a_menu_may_lead_back_to_itself_because_the_caller_chooses() -> None:
    assert not check(users=[A], groups=[group("g", "700", kind="menu", keys={"9": "700"})])


def test_two_ways_to_one_group_are_no_circle() -> None:
    diamond = [
        group("g", "700", overflow="701", closed="702"),
        group("h", "701", overflow="703"),
        group("i", "702", overflow="703"),
        group("j", "703"),
    ]
    assert not check(users=[A], groups=diamond)


def test_a_long_chain_of_groups_needs_no_stack() -> None:
    chain = [group(f"g{n}", f"7{n:05d}", overflow=f"7{n + 1:05d}") for n in range(5000)]
    assert check(users=[A], groups=[*chain, group("last", "705000")]) == []


def test_targets_may_be_other_sites_outside_numbers_and_emergency() -> None:
    keys = {"1": "8221001", "2": "+13125550100", "3": "911", "4": "93125550100"}
    assert not check(
        users=[A],
        groups=[group("g", "700", kind="menu", keys=keys)],
        peers=[{"site": "t", "code": "822", "host": "t.example"}],
        number_plan={"outside_prefix": "9"},
    )


def test_a_chain_longer_than_calls_may_go_is_pointed_out() -> None:
    chain = [group(f"g{n}", f"70{n}", overflow=f"70{n + 1}") for n in range(9)]
    last = group("last", "709", overflow="1001")
    data = {"version": 1, "site": SITE, "zones": ZONES, "users": [A], "groups": [*chain, last]}
    found = [str(warning) for warning in warnings(decode(msgspec.json.encode(data)))]
    way = " → ".join(f"70{n}" for n in range(10))
    assert f"groups[9]: callers are cut off after 8 groups: {way}; make the way shorter" in found


def test_users_may_stand_in_for_one_another() -> None:
    ways = [
        user("a", "1001", forwarding={"busy": "1002", "no_answer": "1002", "always": "1003"}),
        user("b", "1002", forwarding={"busy": "1001", "unreachable": "+13125550100"}),
        user("c", "1003", forwarding={"busy": "1001", "always": "1003"}),
    ]
    assert not check(users=ways)
    assert not check(feature_codes={"forward_always": "", "forward_busy": ""})


def test_an_alias_may_repeat_its_own_extension() -> None:
    assert not check(users=[user("a", "1001", aliases=["1001"])])


def test_what_may_be_meant_is_pointed_out_but_taken() -> None:
    data = {
        "version": 1,
        "site": SITE,
        "zones": ZONES,
        "users": [
            user("a", "9001", forwarding={"busy": "9001"}, credentials=[key()]),
        ],
        "number_plan": {"outside_prefix": "9"},
        "dscp": [
            {"traffic": "transactional", "name": "AF41", "value": 26},
            {"traffic": "odd", "name": "fast", "value": 1},
        ],
        "policies": {"dscp_strategy": "4-queue"},
    }
    assert [str(warning) for warning in warnings(decode(msgspec.json.encode(data)))] == [
        "dscp[0]: `AF41` is 34, not 26 (AF31)",
        "dscp[1]: `fast` is no name of a DSCP value",
        "dscp[1].traffic: `odd` marks nothing; the 4-queue strategy has: "
        "real-time, transactional, signalling, best effort",
        "users[0].forwarding.busy: leads back to 9001 itself and is ignored",
        "users[0].extension: `9001` hides what begins with a site code or the outside prefix",
        "users: 1 credentials have no `sha256`: phones that take SHA-256 cannot register",
    ]
