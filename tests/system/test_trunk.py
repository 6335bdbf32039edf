"""A trunk with real SBCs: Kamailio with mutual TLS and another over UDP, a phone behind them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.pki import Pki
from tests.system.baresip import Baresip
from tests.system.capture import Capture
from tests.system.desk import account
from tests.system.kamailio_sbc import KamailioSbc
from tests.system.network import APPLIANCE
from tests.system.site import DOMAIN, System, bundle, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300, "srtp": "off"}
INSIDE, SBC_1, SBC_2, OUTSIDE = range(4)
FAR = "+15125550199"
DID = "+13125550101"
TLS_SBC, UDP_SBC = "10.77.0.12", "10.77.0.13"


class Trunk:
    """A site with its trunk, a phone inside and a phone outside."""

    def __init__(
        self,
        site: System,
        folder: Path,
        authority: Pki,
        ours: Path,
        revoked: tuple[Path, Path],
    ) -> None:
        self.site, self.authority = site, authority
        outside = site.phone(OUTSIDE)
        self.good = authority.leaf("sbc", TLS_SBC)
        self.expired = authority.leaf("expired", TLS_SBC, days=-1)
        self.bad = {
            "another authority": Pki(folder, "stranger").leaf("foreign", TLS_SBC),
            "revoked": revoked,
            "another name": authority.leaf("other", "10.77.0.99"),
            "a common name alone": authority.leaf("common", common_name=TLS_SBC),
        }
        self._ours, self._folder = ours, folder
        self.tls = KamailioSbc(site.phone(SBC_1), folder, outside, self.good, ours)
        self.udp = KamailioSbc(site.phone(SBC_2), folder, outside)
        self.inside = Baresip(site.phone(INSIDE), site.folder, 500, account(0))
        self.inside.wait("REGISTER_OK", 20)
        far = f"<sip:{FAR}@{TLS_SBC}>;regint=0;audio_codecs=PCMU;answermode=auto"
        far += f';mediaenc=srtp-mand;outbound="sip:{TLS_SBC}"'
        self.far = Baresip(outside, site.folder, 700, far)

    def sbcs(self) -> dict[str, dict[str, Any]]:
        """What `holdfast trunk` tells of each SBC, by its host."""
        told = self.site.holdfast("trunk") or {"sbcs": []}
        return {row["sbc"].partition("/")[2].partition(":")[0]: row for row in told["sbcs"]}

    def wait_for(self, host: str, state: str, seconds: float = 30) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            row = self.sbcs().get(host)
            return row if row is not None and row["state"] == state else None

        return until(found, seconds, f"{host} is {state}", self.evidence, step=0.3)

    def restart(self, files: tuple[Path, Path], method: str = "TLSv1.2+") -> None:
        """Have the SBC with TLS show another certificate, or speak another TLS."""
        self.tls.stop()
        phone, host = self.site.phone(OUTSIDE), self.site.phone(SBC_1)
        self.tls = KamailioSbc(host, self._folder, phone, files, self._ours, method)

    def refuses(self, why: str) -> None:
        """Wait until the SBC is refused for this reason, as `holdfast trunk` shows it."""

        def shown() -> bool:
            return bool(re.search(why, str(self.sbcs()[TLS_SBC]["reason"])))

        until(shown, 20, why, self.evidence, step=0.5)

    def media(self) -> str:
        calls = self.site.holdfast("calls")
        return "\n".join([str(calls), self.far.trace()[-9000:]])

    def evidence(self) -> str:
        logs = [self.site.evidence(), self.tls.trace(), self.far.trace()]
        return "\n".join([str(self.sbcs()), *logs])


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trunk]:
    folder = tmp_path_factory.mktemp("trunk")
    ours, theirs = Pki(folder, "ours"), Pki(folder, "theirs")
    certificate, key = ours.leaf("holdfast", APPLIANCE)
    (folder / "ours.pem").write_text(ours.pem)
    revoked = theirs.leaf("revoked", TLS_SBC, revoked=True)
    users = bundle({}, {})["users"]
    users[0] |= {"numbers": [DID]}
    common = {"interval": 2, "misses": 2, "answers": 1, "patience": 2}
    groups = [
        {
            "id": "main",
            "sbcs": [{"host": TLS_SBC, "priority": 1}],
            "srtp": "required",
            "ca": theirs.pem,
            "crl": theirs.crl,
            **common,
        },
        {
            "id": "spare",
            "sbcs": [{"host": UDP_SBC, "port": 5060, "transport": "UDP"}],
            "srtp": "off",
            **common,
        },
    ]
    parts = {
        "users": users,
        "route_groups": groups,
        "number_plan": {"outside_prefix": "9", "site_number": "+13125550100"},
    }
    settings = {"trunk_certificate": str(certificate), "trunk_key": str(key)}
    with site_in_outage(folder, 4, policies=POLICIES, parts=parts, settings=settings) as site:
        yield Trunk(site, folder, theirs, folder / "ours.pem", revoked)


def talk(trunk: Trunk) -> None:
    until(lambda: trunk.far.hears(500), 15, "outside hears inside", trunk.far.trace)
    until(lambda: trunk.inside.hears(700), 15, "inside hears outside", trunk.media)


def test_out_over_mutual_tls_with_srtp_bridged_to_rtp(trunk: Trunk) -> None:
    trunk.wait_for(TLS_SBC, "up")
    since = len(trunk.far.events)
    trunk.inside.dial(f"sip:9{FAR[1:]}@{DOMAIN}")
    talk(trunk)
    assert trunk.sbcs()[TLS_SBC]["calls"] == 1
    ended = len(trunk.inside.events)
    trunk.far.do("hangup")
    trunk.inside.wait("CALL_CLOSED", 10, ended)
    assert DID in str(trunk.far.wait("CALL_ESTABLISHED", 5, since))


def test_in_over_mutual_tls_to_the_user_with_the_number(trunk: Trunk) -> None:
    trunk.wait_for(TLS_SBC, "up")
    since = len(trunk.inside.events)
    trunk.far.dial(f"sip:{DID}@{TLS_SBC}")
    what = "a call from outside is answered"
    until(lambda: trunk.inside.seen("CALL_ESTABLISHED", since), 10, what, trunk.evidence)
    talk(trunk)
    ended = len(trunk.far.events)
    trunk.inside.do("hangup")
    trunk.far.wait("CALL_CLOSED", 10, ended)


def test_a_stranger_gets_no_answer_on_the_trunk_port(trunk: Trunk) -> None:
    words = ["openssl", "s_client", "-connect", f"{APPLIANCE}:5061", "-tls1_2"]
    inside = ["ip", "netns", "exec", trunk.site.phone(OUTSIDE).name]
    done = subprocess.run(
        [*inside, *words], input="OPTIONS sip:x SIP/2.0\r\n\r\n", capture_output=True, text=True
    )
    assert "SIP/2.0" not in done.stdout
    assert "alert" in done.stderr


BAD = {
    "another authority": "unable to get local issuer certificate",
    "revoked": "its certificate has been revoked",
    "another name": f"its certificate names 10.77.0.99, not {TLS_SBC}",
    "a common name alone": f"its certificate names nobody, not {TLS_SBC}",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_certificate_is_refused_with_its_reason(trunk: Trunk, kind: str) -> None:
    trunk.restart(trunk.bad[kind])
    trunk.refuses(re.escape(BAD[kind]))


def test_tls_1_0_is_refused_with_its_reason(trunk: Trunk) -> None:
    trunk.restart(trunk.good, "TLSv1")
    trunk.refuses("^the other side wants another version of TLS$")


def test_an_expired_certificate_is_refused_with_its_reason_and_the_next_group_carries(
    trunk: Trunk, tmp_path: Path
) -> None:
    trunk.restart(trunk.expired)
    trunk.refuses("^certificate has expired$")
    trunk.wait_for(TLS_SBC, "down")
    capture = Capture(trunk.site.phone(SBC_2), tmp_path / "udp.pcap")
    since = len(trunk.far.events)
    trunk.far.do("uadel", f"sip:{FAR}@{TLS_SBC}")
    trunk.far.do("uanew", f"<sip:{FAR}@{UDP_SBC}>;regint=0;audio_codecs=PCMU;answermode=auto")
    trunk.inside.dial(f"sip:9{FAR[1:]}@{DOMAIN}")
    trunk.far.wait("CALL_ESTABLISHED", 10, since)
    talk(trunk)
    ended = len(trunk.far.events)
    trunk.inside.do("hangup")
    trunk.far.wait("CALL_CLOSED", 10, ended)
    capture.end_after("sip.Method == BYE")
    _nothing_of_the_inside(tmp_path / "udp.pcap", trunk)
    trunk.restart(trunk.good)
    trunk.wait_for(TLS_SBC, "up", 30)


def test_nothing_of_the_inside_came_over_tls(trunk: Trunk) -> None:
    heard = trunk.tls.heard()
    methods = {message.partition(b" ")[0] for message in heard}
    assert methods >= {b"OPTIONS", b"INVITE", b"ACK", b"BYE", b"SIP/2.0"}
    for message in heard:
        found = inside_of(trunk).search(message)
        assert found is None, message.decode(errors="replace")


def inside_of(trunk: Trunk) -> re.Pattern[bytes]:
    """Give what nobody outside may see."""
    address = re.escape(trunk.site.phone(INSIDE).address.encode())
    return re.compile(address + rb"|" + DOMAIN.encode() + rb"|baresip|User 101|sip:101@")


def _nothing_of_the_inside(file: Path, trunk: Trunk) -> None:
    """Search every octet that the appliance sent to the SBC."""
    words = ["tshark", "-r", str(file), "-Y", f"ip.src == {APPLIANCE} && udp", "-T", "fields"]
    shown = subprocess.run([*words, "-e", "udp.payload"], capture_output=True, text=True)
    payloads = [bytes.fromhex(line.replace(":", "")) for line in shown.stdout.split()]
    assert sum(b"SIP/2.0" in data for data in payloads) >= 3
    for data in payloads:
        if b"SIP/2.0" in data:
            found = inside_of(trunk).search(data)
            assert found is None, data.decode(errors="replace")
