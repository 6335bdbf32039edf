"""Connections out of the site: both sides prove their names, or are refused with the reason."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.adapters.mutual_tls import MutualTls, names_of
from appliance.adapters.wire import SipWire
from appliance.call.actions import Notice, Trust
from appliance.settings import Settings
from appliance.sip.flow import Flow
from tests.adapters.pki import Pki
from tests.adapters.serving import LOOPS, REGISTER, Echo, until

both_loops = pytest.mark.parametrize("loop", LOOPS)
SBC = "sbc1.example.net"
Files = tuple[Path, Path]


class Outside(Echo):
    """An inbox that keeps the reasons as well."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def lost(self, flow: Flow, reason: str = "") -> None:
        super().lost(flow, reason)
        self.reasons.append(reason)


@dataclass
class World:
    """A wire that trusts one SBC, and the authorities around it."""

    wire: SipWire
    echo: Outside
    trunk: MutualTls
    ours: Pki
    theirs: Pki
    notices: list[Notice] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.wire.served["trunk"][0][1]

    def caller(self, files: Files | None) -> ssl.SSLContext:
        """Make what an SBC connects to us with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.ours.pem)
        if files is not None:
            context.load_cert_chain(*files)
        return context

    async def call_in(self, files: Files | None) -> str:
        """Connect to us as an SBC does; return the identity that we took it for, or nothing."""
        before = len(self.echo.received)
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.caller(files)
            )
            writer.write(REGISTER)
            await reader.read(10)
            writer.close()
        except OSError:
            pass
        new = self.echo.received[before:]
        return new[0][1].identity if new else ""

    async def call_out(self, files: Files, version: ssl.TLSVersion | None = None) -> str:
        """Have us connect to an SBC that shows this; return why it came to nothing, or nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.ours.pem)
        context.load_cert_chain(*files)
        if version is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(2000))
            await writer.drain()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        there = server.sockets[0].getsockname()[:2]
        flow = Flow("TLS", ("127.0.0.1", self.port), there, 0, SBC)
        self.echo.silent = True
        self.wire.send(flow, REGISTER)
        await until(lambda: self.echo.received or flow in self.echo.gone)
        server.close()
        self.echo.silent = False
        return "" if self.echo.received else self.echo.reasons[self.echo.gone.index(flow)]


def run(loop: str, folder: Path, scenario: Callable[[World], Awaitable[None]], crl: bool = False):
    async def all_of_it() -> None:
        echo = Outside()
        ours, theirs = Pki(folder, "ours"), Pki(folder, "theirs")
        files = ours.leaf("holdfast", "holdfast.example.com")
        trunk = MutualTls(lambda: files, echo.notices.append)
        theirs.leaf("revoked", SBC, revoked=True)
        trunk.trust([Trust(SBC, theirs.pem, theirs.crl if crl else "")])
        settings = Settings(
            sip_port=0, sips_port=0, trunk_port=0, data=folder, addresses=("127.0.0.1",)
        )
        running = asyncio.get_running_loop()
        wire = SipWire(running, echo, echo.notices.append, settings, None, trunk)
        echo.wire = wire
        wire.start()
        try:
            world = World(wire, echo, trunk, ours, theirs, echo.notices)
            await asyncio.wait_for(scenario(world), 20)
        finally:
            wire.stop()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


DAYS = 86_400.0


@both_loops
def test_an_expired_certificate_is_believed_for_its_grace_and_alarms_once_a_day(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        world.trunk.trust([Trust(SBC, world.theirs.pem, world.theirs.crl, grace=3 * DAYS)])
        expired = world.theirs.leaf("late", SBC, days=-2)
        assert await world.call_out(expired) == ""
        assert await world.call_in(expired) == SBC
        told = [notice for notice in world.notices if notice.severity == "alarm"]
        assert len(told) == 1
        assert "has expired and is believed until" in told[0].text

    run(loop, tmp_path, scenario, crl=True)


@both_loops
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("beyond", "certificate has expired"),
        ("revoked", "its certificate has been revoked"),
        ("other name", "its certificate names other.example.net, not sbc1.example.net"),
        ("wrong authority", "unable to get local issuer certificate"),
    ],
)
def test_grace_forgives_nothing_else(loop: str, tmp_path: Path, kind: str, reason: str) -> None:
    async def scenario(world: World) -> None:
        theirs = world.theirs
        files = {
            "beyond": lambda: theirs.leaf("bad", SBC, days=-4),
            "revoked": lambda: theirs.leaf("bad", SBC, days=-1, revoked=True),
            "other name": lambda: theirs.leaf("bad", "other.example.net", days=-1),
            "wrong authority": lambda: Pki(tmp_path, "stranger").leaf("bad", SBC, days=-1),
        }[kind]()
        world.trunk.trust([Trust(SBC, theirs.pem, theirs.crl, grace=3 * DAYS)])
        assert await world.call_in(files) == ""
        assert await world.call_out(files) == reason

    run(loop, tmp_path, scenario, crl=True)


@both_loops
def test_the_grace_of_one_is_nobody_elses(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        other = Pki(tmp_path, "other")
        lenient = Trust("sbc2.example.net", other.pem, grace=3 * DAYS)
        world.trunk.trust([Trust(SBC, world.theirs.pem), lenient])
        assert await world.call_in(world.theirs.leaf("late", SBC, days=-1)) == ""
        assert await world.call_in(other.leaf("late2", "sbc2.example.net", days=-1)) != ""

    run(loop, tmp_path, scenario)


@both_loops
def test_an_sbc_that_proves_its_name_is_known_by_it(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert await world.call_in(world.theirs.leaf("good", SBC)) == SBC
        assert await world.call_in(world.theirs.leaf("uri", f"sip:{SBC}")) == SBC
        assert await world.call_out(world.theirs.leaf("there", SBC)) == ""

    run(loop, tmp_path, scenario)


@both_loops
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong authority", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("revoked", "its certificate has been revoked"),
        ("other name", "its certificate names other.example.net, not sbc1.example.net"),
        ("common name only", "its certificate names nobody, not sbc1.example.net"),
        ("wildcard", "its certificate names nobody, not sbc1.example.net"),
        ("TLS 1.0", "the other side broke the TLS handshake off"),
    ],
)
def test_each_bad_certificate_is_refused_with_its_reason_both_ways(
    loop: str, tmp_path: Path, kind: str, reason: str
) -> None:
    async def scenario(world: World) -> None:
        theirs = world.theirs
        files = {
            "wrong authority": lambda: Pki(tmp_path, "stranger").leaf("bad", SBC),
            "expired": lambda: theirs.leaf("bad", SBC, days=-1),
            "revoked": lambda: (tmp_path / "revoked.crt", tmp_path / "revoked.key"),
            "other name": lambda: theirs.leaf("bad", "other.example.net"),
            "common name only": lambda: theirs.leaf("bad", common_name=SBC),
            "wildcard": lambda: theirs.leaf("bad", "*.example.net"),
            "TLS 1.0": lambda: theirs.leaf("bad", SBC),
        }[kind]()
        old = ssl.TLSVersion.TLSv1 if kind == "TLS 1.0" else None
        if old is None:
            assert await world.call_in(files) == ""
        assert await world.call_out(files, old) == reason
        assert await world.call_in(theirs.leaf("good", SBC)) == SBC, "the cure works at once"

    run(loop, tmp_path, scenario, crl=True)


@both_loops
def test_without_a_certificate_nobody_is_answered(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert await world.call_in(None) == ""
        assert not world.echo.received

    run(loop, tmp_path, scenario)


@both_loops
def test_one_authority_does_not_speak_for_the_sbc_of_another(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        other = Pki(tmp_path, "other")
        trusts = [Trust(SBC, world.theirs.pem), Trust("sbc2.example.net", other.pem)]
        world.trunk.trust(trusts)
        assert await world.call_in(other.leaf("forged", SBC)) == ""
        assert await world.call_in(other.leaf("honest", "sbc2.example.net")) == "sbc2.example.net"

    run(loop, tmp_path, scenario)


@both_loops
def test_with_nobody_trusted_the_port_is_not_served(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert "trunk" in world.wire.served
        world.trunk.trust([])
        world.wire._refresh()
        assert "trunk" not in world.wire.served

    run(loop, tmp_path, scenario)


@both_loops
def test_a_certificate_that_ends_soon_is_told_once(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for _ in range(2):
            assert await world.call_in(world.theirs.leaf("short", SBC, days=10)) == SBC
        told = [notice.text for notice in world.notices if notice.topic == "trunk.certificate"]
        assert len(told) == 1
        assert told[0].startswith(f"the certificate of {SBC} ends at ")

    run(loop, tmp_path, scenario)


@both_loops
def test_what_was_shown_is_kept_until_its_name_is_trusted_no_more(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        assert world.trunk.shown_by(SBC) is None
        assert await world.call_in(Pki(tmp_path, "stranger").leaf("bad", SBC)) == ""
        assert world.trunk.shown_by(SBC) is None, "what was refused proves nothing"
        assert await world.call_in(world.theirs.leaf("good", SBC, days=50)) == SBC
        shown = world.trunk.shown_by(SBC.upper())
        assert shown is not None
        assert shown.names == (SBC,)
        assert 49 < (shown.expires - time.time()) / 86_400 <= 50.1
        world.trunk.reload()
        assert world.trunk.shown_by(SBC) == shown
        world.trunk.trust([])
        assert world.trunk.shown_by(SBC) is None

    run(loop, tmp_path, scenario)


@both_loops
def test_a_renewed_certificate_of_our_own_is_shown_to_new_connections(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        good = world.theirs.leaf("good", SBC)
        assert await world.call_in(good) == SBC
        world.ours.leaf("holdfast", "holdfast.example.com", days=3)
        world.trunk.reload()
        assert await world.call_in(good) == SBC
        (told,) = [notice.text for notice in world.notices if "our own" in notice.text]
        assert "have it renewed" in told

    run(loop, tmp_path, scenario)


def test_a_list_of_somebody_else_revokes_nothing_and_is_told(tmp_path: Path) -> None:
    told: list[Notice] = []
    files = Pki(tmp_path, "ours").leaf("holdfast", "holdfast.example.com")
    trunk = MutualTls(lambda: files, told.append)
    ca, stranger = Pki(tmp_path, "a"), Pki(tmp_path, "b")
    trunk.trust([Trust(SBC, ca.pem, stranger.crl), Trust("b.example.net", "rubbish")])
    assert trunk.server is None
    assert "its revocation list is not signed by its CA" in told[0].text
    assert "its CA in the bundle cannot be read" in told[1].text


def test_names_come_from_the_alternative_name_alone() -> None:
    names = [("DNS", "A.example"), ("DNS", "*.b"), ("URI", "sip:c"), ("URI", "sip:u@d")]
    shown = {"subject": ((("commonName", "cn"),),), "subjectAltName": tuple(names)}
    assert names_of(shown) == {"a.example", "c"}
