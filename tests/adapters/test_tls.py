import asyncio
import contextlib
import datetime
import socket
import ssl
import stat
import warnings
from pathlib import Path

import pytest
from cryptography import x509

from appliance.adapters.tls import ensure_certificate, server_context
from appliance.adapters.wire import SipWire
from appliance.errors import LocalError, Unavailable
from tests.adapters.serving import LOOPS, REGISTER, Echo, place, serve, until

both_loops = pytest.mark.parametrize("loop", LOOPS)
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def trusting(folder: Path, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Make a phone that trusts our own certificate."""
    context = ssl.create_default_context(cafile=folder / "sip.crt")
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def connect(wire: SipWire, context: ssl.SSLContext) -> Pair:
    host, port = place(wire, "TLS")
    return await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost")


async def exchange(pair: Pair) -> None:
    reader, writer = pair
    writer.write(REGISTER)
    assert await reader.readexactly(len(REGISTER)) == REGISTER


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_carry_sip_both_ways(
    loop: str, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        pair = await connect(wire, trusting(tmp_path, version))
        await exchange(pair)
        flow = echo.received[0][1]
        assert (flow.transport, flow.local) == ("TLS", place(wire, "TLS"))
        wire.send(flow, b"x" * 50_000)
        assert await pair[0].readexactly(50_000) == b"x" * 50_000
        pair[1].close()
        await until(lambda: echo.gone == [flow])
        assert wire.statistics()["stream_ended"] == 1

    serve(loop, tmp_path, scenario)


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(loop: str, tmp_path: Path, version: ssl.TLSVersion) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(wire, trusting(tmp_path, version))
        await until(lambda: wire.statistics().get("stream_tls_unsupported_protocol") == 1)

    serve(loop, tmp_path, scenario)


@both_loops
def test_no_cipher_without_forward_secrecy_is_spoken(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        context = trusting(tmp_path, ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(wire, context)

    serve(loop, tmp_path, scenario)


@both_loops
def test_handshakes_left_lying_are_cut_while_a_new_phone_is_served(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        mute = [await asyncio.open_connection(*place(wire, "TLS")) for _ in range(20)]
        half = [await asyncio.open_connection(*place(wire, "TLS")) for _ in range(20)]
        for _, writer in half:
            writer.write(b"\x16\x03\x01\x02\x00\x01")
        phone = await connect(wire, trusting(tmp_path))
        await asyncio.wait_for(exchange(phone), 0.5)
        for reader, _ in (*mute, *half):
            assert await asyncio.wait_for(reader.read(1), 5) == b""
        assert wire.statistics()["stream_overdue_handshake"] == 40
        await exchange(phone)
        phone[1].close()

    serve(loop, tmp_path, scenario, handshake_timeout=0.5)


@both_loops
def test_what_is_no_tls_at_all_is_cut_at_once(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await asyncio.open_connection(*place(wire, "TLS"))
        writer.write(REGISTER)
        alert = await asyncio.wait_for(reader.read(-1), 5)
        assert alert[:1] in (b"\x15", b"")
        assert wire.statistics()["connections"] == 0

    serve(loop, tmp_path, scenario)


@both_loops
def test_a_hundred_phones_at_once_all_register(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        context = trusting(tmp_path)
        phones = await asyncio.gather(*(connect(wire, context) for _ in range(100)))
        await asyncio.gather(*(exchange(phone) for phone in phones))
        assert len({flow.connection for _, flow in echo.received}) == 100
        for _, writer in phones:
            writer.close()

    serve(loop, tmp_path, scenario)


@both_loops
def test_the_last_words_before_a_good_bye_are_heard(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        _, writer = await connect(wire, trusting(tmp_path))
        writer.write(REGISTER)
        writer.close()
        await until(lambda: echo.gone)
        assert [data for data, _ in echo.received] == [REGISTER]

    serve(loop, tmp_path, scenario)


@both_loops
def test_close_says_good_bye(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire, trusting(tmp_path))
        writer.write(REGISTER)
        await reader.readexactly(len(REGISTER))
        wire.close(echo.received[0][1])
        assert await reader.read(-1) == b""
        writer.close()
        await until(lambda: not wire.statistics()["connections"])

    serve(loop, tmp_path, scenario)


@both_loops
def test_a_new_certificate_is_for_new_connections_only(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        old = await connect(wire, trusting(tmp_path))
        await exchange(old)
        wire.reload(server_context(*ensure_certificate(tmp_path / "new", ["localhost"])))
        new = await connect(wire, trusting(tmp_path / "new"))
        await exchange(new)
        await exchange(old)
        with pytest.raises(ssl.SSLError):
            await connect(wire, trusting(tmp_path))
        for _, writer in (old, new):
            writer.close()

    serve(loop, tmp_path, scenario)


def test_the_own_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    certificate, key = ensure_certificate(folder, ["holdfast", "192.0.2.1", "2001:db8::1"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    made = certificate.read_bytes()
    ensure_certificate(folder, ["other"])
    assert certificate.read_bytes() == made
    shown = x509.load_pem_x509_certificate(made)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["holdfast"]
    assert len(names.get_values_for_type(x509.IPAddress)) == 2
    assert shown.not_valid_after_utc - shown.not_valid_before_utc > datetime.timedelta(days=3650)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path / "a", ["a"])
    _, key = ensure_certificate(tmp_path / "b", ["b"])
    with pytest.raises(LocalError, match=r"a/sip\.crt with key .*b/sip\.key"):
        server_context(certificate, key)


def test_a_folder_that_cannot_be_written_is_the_worlds_fault(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(Unavailable):
        ensure_certificate(tmp_path / "tls", ["x"])


@both_loops
def test_without_a_certificate_tls_is_refused_and_the_rest_served(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        wire.reload(None)
        reader, writer = await asyncio.open_connection(*place(wire, "TLS"))
        writer.write(b"\x16\x03\x01")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 5) == b""
        with socket.create_connection(place(wire, "TCP")) as phone:
            phone.send(REGISTER)
            await until(lambda: echo.received)

    serve(loop, tmp_path, scenario)
