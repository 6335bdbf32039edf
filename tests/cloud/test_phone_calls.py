"""Simulated phones call each other through a bare proxy, with real RTP."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.errors import RemoteError, Unavailable
from tests.cloud.patch_panel import patch_panel
from tests.cloud.test_phone_registration import switched_on

TONES = {"1001": 440, "1002": 1000}
Script = Callable[[Phone, Phone, Any], Awaitable[None]]


def with_two_phones(
    folder: Path,
    script: Script,
    transports: tuple[str, str] = ("UDP", "UDP"),
    caller: dict[str, Any] | None = None,
    callee: dict[str, Any] | None = None,
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            panel = await stack.enter_async_context(patch_panel(folder))

            def configured(extension: str, transport: Any, more: Any) -> PhoneSettings:
                return PhoneSettings(
                    extension=extension,
                    domain="panel.test",
                    username=extension,
                    password="",
                    servers=(panel.server(transport),),
                    tls=panel.trust,
                    tone=TONES[extension],
                    **{"answer_after": 0.05, **(more or {})},
                )

            one = configured("1001", transports[0], caller)
            two = configured("1002", transports[1], callee)
            phones = await stack.enter_async_context(switched_on(one, two))
            for phone in phones:
                async with asyncio.timeout(5):
                    await phone.registration.until(None)
            await script(phones[0], phones[1], panel)

    asyncio.run(run())


async def soon(claim: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not claim():
            await asyncio.sleep(0.02)


async def talking(caller: Phone, callee: Phone) -> tuple[Any, Any]:
    made = await caller.call("1002")
    got = await callee.rings()
    await made.until("talking")
    await got.until("talking")
    return made, got


@pytest.mark.parametrize("transports", [("UDP", "TCP"), ("TLS", "UDP")])
def test_both_sides_hear_the_others_tone(tmp_path: Path, transports: tuple[str, str]) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        await soon(lambda: made.audio.hears(1000) and got.audio.hears(440))
        assert not made.audio.hears(440)
        await made.hang_up()
        await got.until("ended")
        assert (made.ended_by, got.ended_by) == ("us", "them")

    with_two_phones(tmp_path, script, transports)


def test_hold_silences_both_and_resume_brings_the_audio_back(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        await soon(lambda: made.audio.hears(1000) and got.audio.hears(440))
        await got.hold()
        await soon(lambda: made.audio.is_silent() and got.audio.is_silent())
        await got.resume()
        await soon(lambda: made.audio.hears(1000) and got.audio.hears(440))

    with_two_phones(tmp_path, script)


def test_srtp_is_agreed_by_sdes_and_heard(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        await soon(lambda: made.audio.hears(1000) and got.audio.hears(440))
        assert made.remote.key and got.remote.key and made.remote.key != got.remote.key
        await made.hold()
        await made.resume()
        await soon(lambda: made.audio.hears(1000) and got.audio.hears(440))
        assert made.audio.unreadable == got.audio.unreadable == 0

    with_two_phones(tmp_path, script, ("TLS", "TLS"), {"srtp": True}, {"srtp": True})


def test_a_phone_that_insists_on_srtp_refuses_plain_audio(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made = await caller.call("1002")
        await made.until("ended")
        assert made.status == 488

    with_two_phones(tmp_path, script, callee={"srtp": True})


def test_the_caller_gives_up_while_it_rings(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made = await caller.call("1002")
        got = await callee.rings()
        await made.until("ringing")
        await made.hang_up()
        await made.until("ended")
        await got.until("ended")
        assert (made.status, made.ended_by, got.ended_by) == (487, "us", "them")

    with_two_phones(tmp_path, script, callee={"answer_after": None})


def test_the_called_phone_refuses(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made = await caller.call("1002")
        await made.until("ended")
        assert (made.status, made.ended_by) == (486, "them")

    with_two_phones(tmp_path, script, callee={"busy": True})


def test_an_unknown_number_is_told(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made = await caller.call("9999")
        await made.until("ended")
        assert made.status == 404

    with_two_phones(tmp_path, script)


def test_keys_pressed_arrive_once_each(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        for key in "1#":
            made.audio.press(key)
        await soon(lambda: got.audio.keys == "1#")

    with_two_phones(tmp_path, script)


def test_two_that_reinvite_at_once_both_succeed(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        await asyncio.gather(made.hold(), got.hold())
        assert made.holding and got.holding
        assert made.audio.sending is False and got.audio.sending is False

    with_two_phones(tmp_path, script)


def test_a_call_that_nobody_answers_is_reported(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made = await caller.call("1002")
        with pytest.raises(Unavailable, match="call is ringing, not talking"):
            await made.until("talking", timeout=0.3)

    with_two_phones(tmp_path, script, callee={"answer_after": None})


def test_hold_after_the_end_is_refused(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        made, got = await talking(caller, callee)
        await got.hang_up()
        await made.until("ended")
        with pytest.raises(RemoteError, match="481"):
            await made.hold()

    with_two_phones(tmp_path, script)


def test_a_message_appears_on_the_screen(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        panel.phones["1002"](
            b"MESSAGE sip:1002@panel.test SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKtext\r\n"
            b"From: <sip:holdfast@panel.test>;tag=1\r\nTo: <sip:1002@panel.test>\r\n"
            b"Call-ID: text\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )
        await soon(lambda: callee.texts == ["hello"])

    with_two_phones(tmp_path, script)


def test_an_extension_it_does_not_know_is_refused(tmp_path: Path) -> None:
    async def script(caller: Phone, callee: Phone, panel: Any) -> None:
        answers: list[bytes] = []
        invite = (
            b"INVITE sip:1002@panel.test SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKrel\r\n"
            b"From: <sip:1001@panel.test>;tag=1\r\nTo: <sip:1002@panel.test>\r\n"
            b"Call-ID: rel\r\nCSeq: 1 INVITE\r\nContact: <sip:1001@127.0.0.1:9>\r\n"
            b"Max-Forwards: 70\r\nRequire: 100rel\r\nContent-Length: 0\r\n\r\n"
        )
        panel.receive(invite, callee.registration.link.flow, answers.append)
        await soon(lambda: any(b"SIP/2.0 420" in answer for answer in answers))
        assert b"Unsupported: 100rel" in answers[-1]

    with_two_phones(tmp_path, script)
