"""Zones fail in eight ways, and each time the history says which layer it was (A7)."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.door import Door
from appliance.errors import Unavailable
from appliance.settings import load_settings
from tests.system.network import CLOUD, ROUTER
from tests.system.site import DOMAIN, HOLDFAST, ZONE_PORTS, System
from tests.system.waiting import until

NAME = f"zone-a.{DOMAIN}"
"""By which the cloud is known, so that DNS matters."""
NEIGHBOURS = "/proc/sys/net/ipv4/neigh/eth0/base_reachable_time_ms"


class NamedSite(System):
    """A site that finds its cloud by name."""

    def _start_names(self) -> None:
        self.etc = Path("/etc/netns") / self.network.appliance.name
        self.etc.mkdir(parents=True)
        (self.etc / "resolv.conf").write_text(f"nameserver {ROUTER}\n")
        super()._start_names()
        # What the kernel believes of its neighbours for up to 45 s, for 3 s at most.
        self.network.appliance.run("tee", NEIGHBOURS, text="2000")

    def _start_cloud(self) -> None:
        command = [HOLDFAST, "cloud", "run", "--site", str(self._site), "--listen", CLOUD]
        command += ["--host", NAME, "--host", CLOUD, "--data", str(self.cloud_data)]
        log = self.folder / "cloud.log"
        self.network.cloud.start(*command, log=log)
        access = self.cloud_data / "access.json"
        until(access.exists, 20, "the reference cloud is up", lambda: log.read_text())

    def cloud_zone(self, zone: str, state: str, *more: str) -> None:
        """Command a zone's failure; the cloud's own host asks itself, without DNS."""
        file = self.cloud_data / "access.json"
        file.write_text(file.read_text().replace(NAME, CLOUD))
        super().cloud_zone(zone, state, *more)

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.etc, ignore_errors=True)

    def api(self, path: str) -> Any:
        """Give what the appliance's API tells."""
        with self.network.appliance.inside():
            try:
                return Door(load_settings(self.settings, {})).get(path)
            except Unavailable:
                return []

    def zones(self) -> dict[str, str]:
        """Give the state of each zone."""
        return {zone["id"]: zone["state"] for zone in self.api("zones")}

    def stop_names(self) -> None:
        """End the name server."""
        name_server = [
            process
            for process in self.network.router._processes
            if "tests.system.dns" in " ".join(map(str, process.args))  # type: ignore[arg-type]
        ]
        for process in name_server:
            subprocess.run(["pkill", "-P", str(process.pid)], check=False)
            process.terminate()
            process.wait(5)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamedSite]:
    made = NamedSite(tmp_path_factory.mktemp("evidence"), 0)
    yield made
    made.close()


def expired(site: NamedSite) -> None:
    site.cloud_zone("primary", "tls-broken")


def misnamed(site: NamedSite) -> None:
    site.cloud_zone("primary", "wrong-name")


def refusing(site: NamedSite) -> None:
    site.cloud_zone("primary", "refusing")


def dropped(site: NamedSite) -> None:
    site.network.cut(*ZONE_PORTS)


def gateway_dead(site: NamedSite) -> None:
    site.network.router.run("ip", "addr", "del", f"{ROUTER}/24", "dev", "lan")
    site.network.appliance.run("ip", "neigh", "flush", "dev", "eth0")


def unplugged(site: NamedSite) -> None:
    site.network.router.run("ip", "link", "set", "port0", "down")


def dns_dead(site: NamedSite) -> None:
    """Take the name server away, and what core remembers of where the zones are."""
    site.stop_names()
    (site.data / "zone_addresses.json").unlink()
    site.kill("core")


def mend(site: NamedSite) -> None:
    """Undo what a script did."""
    router = site.network.router
    router.run("ip", "link", "set", "port0", "up")
    if f"{ROUTER}/24" not in router.run("ip", "addr", "show", "dev", "lan"):
        router.run("ip", "addr", "add", f"{ROUTER}/24", "dev", "lan")
    site.network.heal()
    site.cloud_zone("primary", "up")


SCRIPTS: list[tuple[Callable[[NamedSite], None], tuple[str, str], str]] = [
    (expired, ("certificate", "expired"), "The certificate of zone primary has expired"),
    (misnamed, ("certificate", "name"), "is for another name"),
    (refusing, ("sip", "refusing"), "it answers 503"),
    (unplugged, ("link", "no_signal"), "has no signal"),
    (dropped, ("tcp", "silence"), "dropped without a word"),
    (gateway_dead, ("gateway", "silence"), "The gateway does not answer"),
    (dns_dead, ("dns", "silence"), "DNS is dead"),
]


UP = {"primary": "up", "secondary": "up"}


def test_a_reset_port_ends_in_an_outage_whose_history_says_so(site: NamedSite) -> None:
    until(lambda: site.zones() == UP, 20, "both zones are well", site.evidence)
    site.network.cut(*ZONE_PORTS, verdict="reject")
    outage = until(lambda: outage_with_evidence(site), 20, "both zones are told of", site.evidence)
    for found in outage["evidence"]:
        assert (found["layer"], found["kind"]) == ("tcp", "reset")
        assert "is reset by a firewall" in found["verdict"]
    mend(site)
    inside = ["ip", "netns", "exec", site.network.appliance.name, HOLDFAST]
    told = subprocess.run(
        [*inside, "--settings", str(site.settings), "mode"], capture_output=True, text=True
    )
    assert "The port of zone secondary is reset by a firewall" in told.stdout


def test_a_site_that_is_well_passes_its_checks(site: NamedSite) -> None:
    until(lambda: site.zones() == UP, 20, "both zones are well", site.evidence)
    wanted = ["zones", "cloud", "names", "gateway", "mtu", "sip-alg", "audio", "marks", "doubled"]
    run = site.holdfast("diagnose", *wanted, "configuration")
    assert run is not None, site.evidence()
    told = {one["check"]: (one["verdict"], one["text"]) for one in run["results"]}
    assert {verdict for verdict, _ in told.values()} == {"ok"}, told
    assert run["ended"] - run["begun"] < 40


def outage_with_evidence(site: NamedSite) -> dict[str, Any] | None:
    """Give the latest outage once something is known of both zones."""
    outages = [one for one in site.api("mode/history") if one["after"] == "survivability"]
    return outages[0] if outages and len(outages[0]["evidence"]) == 2 else None


@pytest.mark.parametrize(
    ("script", "layer", "words"), SCRIPTS, ids=[script.__name__ for script, _, _ in SCRIPTS]
)
def test_each_fault_gets_its_own_verdict(
    site: NamedSite,
    script: Callable[[NamedSite], None],
    layer: tuple[str, str],
    words: str,
) -> None:
    until(lambda: site.zones() == UP, 20, "both zones are well", site.evidence)
    begun = time.time()
    script(site)
    found = until(lambda: first_found(site, begun), 40, "something is found", site.evidence)
    mend(site)
    assert (found["layer"], found["kind"]) == layer, found
    assert words in found["verdict"] and found["advice"].endswith(".")
    failed = [step["layer"] for step in found["steps"] if step["verdict"] == "fail"]
    assert layer[0] in failed


def first_found(site: NamedSite, since: float) -> dict[str, Any] | None:
    """Give what was found of the primary zone since a moment."""
    found = site.api("evidence")
    fresh = [one for one in found if one["at"] > since and one["zone"] == "primary"]
    return fresh[-1] if fresh else None
