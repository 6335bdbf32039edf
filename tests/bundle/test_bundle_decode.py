"""A bundle is taken whole or refused with everything that is wrong with it."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.bundle import BUNDLE_LIMIT, Bundle, BundleError, decode, schema
from appliance.bundle.emergency import emergency_numbers
from appliance.cloud.sample import make_sample

SITE = {"id": "s", "name": "S", "code": "821", "domain": "d.example", "realm": "d.example"}
SMALL: dict[str, Any] = {"version": 1, "site": SITE, "zones": [{"id": "a", "host": "a.example"}]}


def bundle(**sections: Any) -> bytes:
    return msgspec.json.encode(SMALL | sections)


def user(name: str, extension: Any, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "extension": extension, **more}


def problems(data: bytes) -> dict[str, str]:
    with pytest.raises(BundleError) as refused:
        decode(data)
    return {problem.path: problem.text for problem in refused.value.problems}


def test_the_smallest_bundle_gets_the_defaults() -> None:
    made = decode(bundle())
    assert made.monitoring.interval == 5.0
    assert emergency_numbers(made) == ("911", "933")


def test_a_sample_site_is_valid() -> None:
    sample = make_sample(50, 100)
    assert decode(sample.bundle_json()) == sample.bundle


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the file is empty; make it again"),
        (b"   \n", "the file is empty; make it again"),
        (b'{"version": 1', "the file ends too early; fetch it again"),
        (b'{"a":' * 100_000, "nested too deep to be a bundle; make it again"),
        (b"[" * 100_000, "nested too deep to be a bundle; make it again"),
        (b"[]", "not a bundle: a JSON object with `version`, `site` ... is expected"),
        (b" " * (BUNDLE_LIMIT + 1), "67,108,865 bytes; 67,108,864 is the limit, so leave"),
        (b'{"version": NaN}', "not JSON: "),
        (b'{"version": 1e999}', "not JSON: "),
        (b'{"version": ' + b"9" * 5000 + b"}", "not JSON: "),
        (b"\xff\xfe", "not JSON: "),
        (b'"\xff"', "not JSON: "),
    ],
    ids=range(12),
)
def test_what_is_no_bundle_at_all_is_told_in_one_line(data: bytes, text: str) -> None:
    found = problems(data)
    assert list(found) == [""]
    assert found[""].startswith(text)


def test_every_wrong_shape_is_found_not_only_the_first() -> None:
    data = bundle(
        users=[user("a", "7"), user("b", "1002", numbers=["+1312555010", "555"]), 7],
        devices=[{"id": "p", "users": ["a"], "mac": "00:11"}],
        policies={"srtp": "sometimes", "max_expires": "long"},
        surprise=True,
    )
    assert list(problems(data)) == [
        "users[0].extension",
        "users[1].numbers[1]",
        "users[2]",
        "devices[0].mac",
        "policies.srtp",
        "policies.max_expires",
        "surprise",
    ]


def test_contradictions_are_found_in_the_same_pass_as_wrong_shapes() -> None:
    nameless = user("a", "911") | {"name": ""}
    found = problems(bundle(users=[nameless, user("b", "1001", location="x")]))
    assert list(found) == ["users[0].name", "users[0].extension", "users[1].location"]


def test_a_wrong_shape_makes_no_false_contradiction() -> None:
    found = problems(
        bundle(
            site=SITE | {"realm": 5},
            users=[user("a", 7, credentials=[{"username": "a", "realm": "r", "md5": "x" * 32}])],
            devices=[{"id": "p", "users": ["a"]}],
            groups=[{"id": "g", "name": "G", "extension": "700", "members": [5]}],
        )
    )
    assert set(found) == {
        "site.realm",
        "users[0].extension",
        "users[0].credentials[0].md5",
        "groups[0].members[0]",
    }


def test_missing_keys_and_misspelt_keys_are_named_with_advice() -> None:
    found = problems(bundle(users=[{"id": "a", "name": "A", "extensoin": "1001"}]))
    assert found["users[0].extension"] == "missing; write 2 to 15 of 0-9 * #, as text"
    assert found["users[0].extensoin"] == "no such key; did you mean `extension`?"


def test_a_key_cannot_command_whoever_reads_the_log() -> None:
    assert list(problems(bundle(**{"\x1b[2J\n": 1}))) == ["\ufffd[2J\ufffd"]


def test_a_password_in_the_place_of_a_hash_is_not_shown() -> None:
    credential = {"username": "a", "realm": "d.example", "md5": "tr0ub4dor", "sha256": "tr0ub4dor"}
    found = problems(bundle(users=[user("a", "1001", credentials=[credential])]))
    assert found
    assert "tr0ub4dor" not in str(found)


@pytest.mark.parametrize("text", ["B\n", "B\r\nVia: x", "B\x00", "B\x7f"])
def test_no_control_character_reaches_a_name(text: str) -> None:
    assert list(problems(bundle(users=[user("b", "1001") | {"name": text}]))) == ["users[0].name"]


@pytest.mark.parametrize("key", ["id", "extension", "aliases"])
def test_a_line_feed_at_the_end_is_seen(key: str) -> None:
    value: Any = ["1002\n"] if key == "aliases" else "1002\n"
    assert len(problems(bundle(users=[user("b", "1001") | {key: value}]))) == 1


def test_zones_are_one_to_eight() -> None:
    assert problems(bundle(zones=[]))["zones"] == "a list does not fit; write 1 to 8 zones"
    nine = [{"id": f"z{index}", "host": f"z{index}.example"} for index in range(9)]
    assert list(problems(bundle(zones=nine))) == ["zones"]


def test_the_error_says_the_first_problem_and_how_many_more() -> None:
    with pytest.raises(BundleError, match=r"^bundle refused: version: 0 does not fit.*1 more"):
        decode(bundle(version=0, surprise=1))


def test_the_schema_describes_every_key() -> None:
    made = schema()
    assert made["$defs"]["Monitoring"]["properties"]["misses"]["description"].startswith("Unans")
    assert set(made["$defs"]["Bundle"]["required"]) == {"version", "site", "zones"}
    assert msgspec.json.decode(msgspec.json.encode(made))


SAMPLE = msgspec.json.decode(make_sample(6, 3).bundle_json())
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.none(), max_size=2),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """List every container and key within plain data."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found: list[tuple[Any, Any]] = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_bundle_is_taken_or_refused_and_nothing_else(data: st.DataObject) -> None:
    damaged = copy.deepcopy(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(places(damaged)))
        container[key] = data.draw(JUNK)
    try:
        assert isinstance(decode(msgspec.json.encode(damaged)), Bundle)
    except BundleError as error:
        assert error.problems
        assert all("\x00" not in str(problem) for problem in error.problems)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        decode(data)
