"""Two sites with a Holdfast each: they call each other by site code over mutual TLS, with audio."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.pki import Pki
from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE
from tests.system.site import DOMAIN, HOLDFAST, QUICK, System, bundle, password, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300, "srtp": "off"}
HERE, THERE, EAST = range(3)
EAST_ADDRESS = "10.77.0.13"


def peer(site: str, code: str, host: str, authority: str) -> dict[str, Any]:
    return {"site": site, "code": code, "host": host, "ca": authority}


def begin_east(site: System, folder: Path, files: tuple[Path, Path], authority: str) -> None:
    """Start a second appliance on a host of its own, whose cloud is cut off as well."""
    data = folder / "east"
    (data / "data").mkdir(parents=True)
    east = {"id": "east", "name": "East", "code": "82", "domain": DOMAIN, "realm": DOMAIN}
    made = bundle(QUICK, POLICIES)
    made |= {"site": east, "peers": [peer("hq", "71", APPLIANCE, authority)]}
    (data / "data" / "bundle.json").write_text(json.dumps(made))
    settings = {
        "data": str(data / "data"),
        "run": str(data / "run"),
        "trunk_certificate": str(files[0]),
        "trunk_key": str(files[1]),
    }
    file = data / "holdfast.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    words = [HOLDFAST, "--settings", str(file)]
    host = site.phone(EAST)
    host.start(*words, "run", log=data / "log")

    def serves() -> bool:
        with suppress(RuntimeError, ValueError):
            return json.loads(host.run(*words, "mode", "--json"))["mode"] == "survivability"
        return False

    until(serves, 30, "east serves", lambda: (data / "log").read_text()[-4000:], step=0.5)


def phone(site: System, number: int, name: str, tone: int, appliance: str) -> Baresip:
    account = f"<sip:{name}@{DOMAIN}>;auth_user={name};auth_pass={password(name)};regint=300"
    account += f';audio_codecs=PCMU;answermode=auto;outbound="sip:{appliance}"'
    one = Baresip(site.phone(number), site.folder, tone, account)
    one.wait("REGISTER_OK", 30)
    return one


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, Baresip, Baresip]]:
    folder = tmp_path_factory.mktemp("peers")
    pki = Pki(folder)
    here, there = pki.leaf("here", APPLIANCE), pki.leaf("there", f"sip:{EAST_ADDRESS}")
    parts = {"peers": [peer("east", "82", EAST_ADDRESS, pki.pem)]}
    settings = {"trunk_certificate": str(here[0]), "trunk_key": str(here[1])}
    with site_in_outage(folder, 3, policies=POLICIES, parts=parts, settings=settings) as site:
        begin_east(site, folder, there, pki.pem)
        one = phone(site, HERE, "101", 500, APPLIANCE)
        yield site, one, phone(site, THERE, "102", 700, EAST_ADDRESS)


def is_up(site: System) -> bool:
    return [row["state"] for row in site.holdfast("peers") or []] == ["up"]


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_call_by_site_code_is_heard_on_both_sides(
    sites: tuple[System, Baresip, Baresip], way: str
) -> None:
    site, here, there = sites
    until(lambda: is_up(site), 30, "the peer is up", site.evidence)
    caller, dialled = (here, "82102") if way == "there" else (there, "71101")
    callee = there if way == "there" else here
    before = len(caller.events)
    caller.dial(f"sip:{dialled}@{DOMAIN}")
    caller.wait("CALL_ESTABLISHED", 15, before)
    until(lambda: callee.hears(caller.tone), 15, "the callee hears", callee.trace)
    until(lambda: caller.hears(callee.tone), 15, "the caller hears", caller.trace)
    ended = len(callee.events)
    caller.do("hangup")
    callee.wait("CALL_CLOSED", 10, ended)
