"""Our own certificates, by their files, and those of SBCs and other sites, by what they showed."""

from __future__ import annotations

import asyncio
import datetime
import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from appliance.adapters.tls import ensure_certificate
from appliance.bundle import Bundle, Peer, RouteGroup, Sbc, Site, Zone
from appliance.diagnostics.certificate import of_ours, of_outside
from appliance.diagnostics.check import Outcome, Surroundings
from appliance.errors import Unavailable
from appliance.settings import Settings

HERE = socket.gethostname()
DAY = datetime.timedelta(days=1)


class Pair:
    """A certificate and its key, signed by another or by itself."""

    def __init__(
        self,
        name: str,
        above: Pair | None = None,
        alt: str = HERE,
        begins: int = -1,
        ends: int = 90,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            above.name if above else self.name,
            self.name,
            self.key.public_key(),
            x509.random_serial_number(),
            now + begins * DAY,
            now + ends * DAY,
        )
        if alt:
            names = x509.SubjectAlternativeName([x509.DNSName(alt)])
            builder = builder.add_extension(names, critical=False)
        self.own = builder.sign((above or self).key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.own.public_bytes(Encoding.PEM)

    @property
    def secret(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


ROOT = Pair("root")
BETWEEN = Pair("between", ROOT)
LEAF = Pair("leaf", BETWEEN)


def judged(folder: Path, *chain: Pair, key: Pair | None = None, use: str = "web") -> Outcome:
    file, secret = folder / "a.crt", folder / "a.key"
    file.write_bytes(b"".join(one.pem for one in chain))
    secret.write_bytes((key or chain[0]).secret)
    return of_ours(use, file, secret, Settings(data=folder, admin_hosts=("box.example",)))


def test_the_certificate_we_make_ourselves_is_well(tmp_path: Path) -> None:
    file, key = ensure_certificate(tmp_path, [HERE])
    told = of_ours("web", file, key, Settings(data=tmp_path))
    assert told.verdict == "ok"
    assert any("own authority" in line for line in told.evidence)


@pytest.mark.parametrize(
    ("chain", "verdict", "words"),
    [
        ((LEAF, BETWEEN, ROOT), "ok", "lasts for 89 d"),
        ((LEAF, BETWEEN), "ok", "lasts"),
        ((LEAF,), "ok", "lasts"),
        ((LEAF, ROOT), "fail", "number 2 in its file did not sign"),
        ((LEAF, BETWEEN, LEAF), "fail", "number 3"),
        ((Pair("a", ends=20),), "warn", "lasts for 19 d"),
        ((Pair("a", ends=3),), "fail", "lasts for 2 d"),
        ((Pair("a", begins=-9, ends=-2),), "fail", "expired 2 d ago"),
        ((Pair("a", begins=5),), "fail", "not valid for another"),
        ((Pair("a", alt=""),), "warn", "names nobody"),
        ((Pair("a", alt="other.example"),), "warn", f"does not name {HERE} or box.example"),
        ((Pair("a", alt="*.example"),), "ok", "lasts"),
        ((Pair("a", alt="*.box.example"),), "warn", "does not name"),
    ],
)
def test_our_own_certificates_are_judged_by_their_files(
    tmp_path: Path, chain: tuple[Pair, ...], verdict: str, words: str
) -> None:
    told = judged(tmp_path, *chain)
    assert (told.verdict, words in told.text) == (verdict, True), told
    assert bool(told.advice) is (verdict != "ok")


def test_a_certificate_for_phones_may_have_any_name_but_none(tmp_path: Path) -> None:
    assert judged(tmp_path, Pair("a", alt="sip.example"), use="phones").verdict == "ok"
    assert judged(tmp_path, Pair("a", alt=""), use="phones").verdict == "warn"


def test_a_key_that_does_not_fit_or_is_gone_is_told(tmp_path: Path) -> None:
    told = judged(tmp_path, LEAF, BETWEEN, key=ROOT)
    assert told.verdict == "fail" and "has no use without its key" in told.text
    (tmp_path / "a.key").unlink()
    told = of_ours("web", tmp_path / "a.crt", tmp_path / "a.key", Settings(data=tmp_path))
    assert told.verdict == "fail" and "No such file" in told.text
    told = of_ours("web", tmp_path / "b.crt", tmp_path / "a.key", Settings(data=tmp_path))
    assert told.verdict == "warn" and "cannot be read" in told.text


def outside(**change: Any) -> list[Outcome]:
    """Judge one SBC on TLS, one without, and one other site; what core tells can be changed."""
    told: dict[str, Any] = {
        "trunk": {
            "sbcs": [
                {"sbc": "pstn/sbc.example:5061", "state": "up", "reason": ""},
                {"sbc": "pstn/plain.example:5060", "state": "up", "reason": ""},
            ]
        },
        "peers": [{"site": "east", "state": "up", "reason": "answers"}],
        "status": {"certificates": {"sbc.example": shown(90), "east.example": shown(60)}},
    } | change

    async def ask(name: str, **arguments: Any) -> Any:
        if told[name] is None:
            raise Unavailable("core is away")
        return told[name]

    sbcs = (Sbc(host="SBC.example"), Sbc(host="plain.example", port=5060, transport="UDP"))
    bundle = Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="71", domain="a.example", realm="a.example"),
        zones=(Zone(id="a", host="192.0.2.1"),),
        route_groups=(RouteGroup(id="pstn", sbcs=sbcs),),
        peers=(Peer(site="east", code="82", host="east.example"),),
    )
    if "sbc" in told:
        told["trunk"]["sbcs"][0] |= told["sbc"]
        bundle = msgspec.structs.replace(bundle, peers=())
    there = Surroundings(Settings(data=Path("/nonexistent")), bundle, ask)
    return asyncio.run(of_outside(there))


def shown(days: float) -> dict[str, Any]:
    ends = time.time() + days * 86_400 + 60
    return {"names": ["sbc.example"], "issuer": "CN=Example CA", "expires": ends}


def test_sbcs_on_tls_and_other_sites_are_judged_by_what_they_showed() -> None:
    sbc, site = outside()
    assert (sbc.verdict, sbc.text) == ("ok", "the certificate of SBC SBC.example lasts for 90 d")
    assert sbc.evidence == ("  names: sbc.example", "  signed by: CN=Example CA")
    assert site.text == "the certificate of site east lasts for 60 d"


@pytest.mark.parametrize(
    ("sbc", "certificates", "verdict", "words"),
    [
        ({}, {"sbc.example": shown(20.5)}, "warn", "lasts for 20 d"),
        ({}, {"sbc.example": shown(-3)}, "fail", "expired"),
        ({}, {}, "warn", "has not been seen yet"),
        ({"state": "down", "reason": "no answer"}, {}, "warn", "seen yet: no answer"),
        (
            {"state": "down", "reason": "certificate has expired"},
            {"sbc.example": shown(90)},
            "fail",
            "is not good: certificate has expired",
        ),
    ],
)
def test_what_is_wrong_with_the_certificate_of_an_sbc(
    sbc: dict[str, Any], certificates: dict[str, Any], verdict: str, words: str
) -> None:
    (told,) = outside(sbc=sbc, peers=[], status={"certificates": certificates})
    assert (told.verdict, words in told.text) == (verdict, True), told
    assert told.advice


def test_while_core_is_away_nothing_is_known_of_them() -> None:
    (told,) = outside(status=None)
    assert told.verdict == "warn" and "not known" in told.text
