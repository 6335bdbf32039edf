"""A site's prompts, from the bundle to the packets that a phone is sent."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from math import pi, sin
from pathlib import Path

import msgspec
import pytest

from appliance.bundle import Bundle, Emergency, Location, Prompt, User, decode
from appliance.bundle.spoken import location_sound, user_sound
from appliance.bundle.wav import Wav, write_wav
from appliance.call.actions import Notice
from appliance.media.sounds import Sounds
from appliance.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw
from appliance.rtp.loudness import TARGET, active_level
from appliance.rtp.progress_tone import progress_tone
from appliance.rtp.tone import is_heard
from appliance.sounds.preparation import Wanted, prepare, without_audio
from appliance.sounds.shelf import INDEX, read_shelf
from appliance.sounds.speech import can_speak
from appliance.sounds.upkeep import SoundUpkeep

speaking = pytest.mark.skipif(not can_speak(), reason="espeak-ng is missing")

SITE = {"id": "s", "name": "S", "code": "821", "domain": "d.example", "realm": "d.example"}


def bundle(*prompts: Prompt, country: str = "US", language: str = "en") -> Bundle:
    content = {
        "version": 1,
        "site": SITE | {"language": language},
        "zones": [{"id": "a", "host": "a.example"}],
        "number_plan": {"country": country},
        "prompts": prompts,
    }
    return decode(msgspec.json.encode(content))


def recording(frequency: float, rate: int = 8000, seconds: float = 1.0) -> array[int]:
    step = 2 * pi * frequency / rate
    return array("h", [round(8000 * sin(step * n)) for n in range(round(rate * seconds))])


def wav(frequency: float, rate: int = 8000, channels: int = 1) -> bytes:
    samples = recording(frequency, rate)
    if channels == 2:
        samples = array("h", [sample for sample in samples for _ in range(2)])
    return write_wav(Wav("PCM", rate, channels, samples.tobytes()))


def keep(
    folder: Path, script: Callable[[SoundUpkeep], Awaitable[None]], notices: list[Notice]
) -> None:
    async def whole() -> None:
        upkeep = SoundUpkeep(folder, notices.append)
        try:
            await script(upkeep)
        finally:
            await upkeep.stop()

    asyncio.run(whole())


def applied(folder: Path, *wanted: Bundle) -> list[str]:
    """Apply bundles one right after the other, wait, and return what admins were told."""
    notices: list[Notice] = []

    async def script(upkeep: SoundUpkeep) -> None:
        for each in wanted:
            upkeep.apply(each)
        await upkeep.settled()

    keep(folder, script, notices)
    return [f"{notice.severity}: {notice.text}" for notice in notices]


def heard(sounds: Sounds, name: str, codec: str = "PCMU") -> array[int]:
    frames = sounds.frames(name, codec)
    assert frames is not None and {len(frame) for frame in frames} == {160}
    return (decode_ulaw if codec == "PCMU" else decode_alaw)(b"".join(frames))


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (16000, 2), (48000, 2)])
def test_a_recording_is_heard_as_it_was_made(
    tmp_path: Path, rate: int, channels: int, codec: str
) -> None:
    told = applied(tmp_path, bundle(Prompt(id="hello", audio=wav(700, rate, channels))))
    assert told == ["info: 1 prompts of the site are ready"]
    assert is_heard(heard(Sounds(tmp_path), "hello", codec)[800:2400], 700)


def test_a_law_recording_is_heard(tmp_path: Path) -> None:
    octets = encode_alaw(recording(900))
    applied(tmp_path, bundle(Prompt(id="hello", audio=write_wav(Wav("PCMA", 8000, 1, octets)))))
    assert is_heard(heard(Sounds(tmp_path), "hello")[800:2400], 900)


@speaking
def test_a_text_is_spoken_as_loud_as_the_prompts_that_ship(tmp_path: Path) -> None:
    applied(tmp_path, bundle(Prompt(id="closed", text="We are closed on Mondays.")))
    sounds = Sounds(tmp_path)
    own, shipped = heard(sounds, "closed"), heard(Sounds(), "closed")
    assert own != shipped
    assert active_level(own) == pytest.approx(TARGET, abs=1)
    assert active_level(shipped) == pytest.approx(TARGET, abs=1)


@speaking
def test_the_language_is_the_prompts_else_the_sites(tmp_path: Path) -> None:
    text = "Guten Tag, Sie sind verbunden."
    first, second, third = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    applied(first, bundle(Prompt(id="p", text=text)))
    applied(second, bundle(Prompt(id="p", text=text, language="de")))
    applied(third, bundle(Prompt(id="p", text=text), language="de"))
    assert heard(Sounds(first), "p") != heard(Sounds(second), "p") == heard(Sounds(third), "p")


@speaking
def test_what_cannot_be_spoken_is_told_and_the_rest_is_heard(tmp_path: Path) -> None:
    told = applied(
        tmp_path,
        bundle(Prompt(id="odd", text="x", language="zzz"), Prompt(id="good", audio=wav(500))),
    )
    assert told[0].startswith("warning: callers will not hear the prompt `odd`: espeak-ng does not")
    assert told[1:] == ["info: 1 prompts of the site are ready"]
    assert Sounds(tmp_path).frames("odd", "PCMU") is None
    assert Sounds(tmp_path).frames("good", "PCMU") is not None


@speaking
def test_without_the_program_texts_are_missing_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = bundle(Prompt(id="closed", text="We are closed."), Prompt(id="b", audio=wav(500)))
    monkeypatch.setenv("PATH", str(tmp_path))
    told = applied(tmp_path / "sounds", wanted)
    assert told[0] == (
        "warning: callers will not hear the prompt `closed`: "
        "espeak-ng is not installed, so no text can be spoken"
    )
    assert heard(Sounds(tmp_path / "sounds"), "closed") == heard(Sounds(), "closed")
    monkeypatch.undo()
    assert applied(tmp_path / "sounds", wanted) == ["info: 2 prompts of the site are ready"]


def test_what_is_ready_is_not_made_again(tmp_path: Path) -> None:
    wanted = bundle(Prompt(id="a", audio=wav(500)))
    applied(tmp_path, wanted)
    before = (tmp_path / INDEX).stat().st_mtime_ns
    assert applied(tmp_path, wanted) == []
    assert (tmp_path / INDEX).stat().st_mtime_ns == before


def test_a_lost_file_is_made_again(tmp_path: Path) -> None:
    wanted = bundle(Prompt(id="a", audio=wav(500)))
    applied(tmp_path, wanted)
    next(tmp_path.glob("*.ulaw")).unlink()
    assert applied(tmp_path, wanted) == ["info: 1 prompts of the site are ready"]


def test_the_last_of_several_bundles_counts_and_old_files_go(tmp_path: Path) -> None:
    applied(tmp_path, bundle(Prompt(id="a", audio=wav(500))))
    applied(
        tmp_path,
        bundle(Prompt(id="a", audio=wav(600))),
        bundle(Prompt(id="a", audio=wav(700))),
        bundle(Prompt(id="b", audio=wav(800)), country="GB"),
    )
    shelf = read_shelf(tmp_path)
    assert shelf.country == "GB" and list(shelf.files) == ["b"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        [INDEX, *shelf.files.values()]
    )


def test_a_running_player_notices_the_change_and_keeps_what_it_plays(tmp_path: Path) -> None:
    applied(tmp_path, bundle(Prompt(id="a", audio=wav(500))))
    sounds = Sounds(tmp_path)
    playing = sounds.frames("a", "PCMU")
    applied(tmp_path, bundle(Prompt(id="a", audio=wav(900)), country="GB"))
    assert playing is not None and is_heard(decode_ulaw(b"".join(playing))[800:1600], 500)
    assert is_heard(heard(sounds, "a")[800:1600], 900)
    british = progress_tone("busy", "GB")
    assert british is not None and len(heard(sounds, "tone/busy")) == len(british)


def test_a_bundle_without_prompts_needs_no_other_process(tmp_path: Path) -> None:
    assert applied(tmp_path, bundle(country="FR")) == []
    assert read_shelf(tmp_path).country == "FR"
    assert is_heard(heard(Sounds(tmp_path), "tone/ringback")[800:2400], 440)


def test_a_broken_index_is_no_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / INDEX).write_text("{")
    assert len(heard(Sounds(tmp_path), "closed")) > 8000
    assert "playing what ships" in capsys.readouterr().err
    assert applied(tmp_path, bundle(Prompt(id="a", audio=wav(500)))) == [
        "info: 1 prompts of the site are ready"
    ]


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told = applied(tmp_path / "file" / "sounds", bundle(Prompt(id="a", audio=wav(500))))
    assert told[0].startswith("alarm: the site's prompts are not ready:")
    assert applied(tmp_path / "file" / "sounds", bundle())[0].startswith("alarm:")


def test_the_core_gets_a_bundle_without_recordings() -> None:
    plain = bundle(Prompt(id="a", text="x"))
    assert without_audio(plain) is plain
    lean = without_audio(bundle(Prompt(id="a", text="x", audio=wav(500))))
    assert lean.prompts == (Prompt(id="a", text="x"),)


def test_everything_that_ships_is_there_in_both_laws() -> None:
    sounds = Sounds()
    for name in ("music", "tone/ringback", "tone/beep", "emergency-failed", "digit-7", "menu"):
        assert (
            10 <= len(sounds.frames(name, "PCMU") or ()) == len(sounds.frames(name, "PCMA") or ())
        )
    assert sounds.frames("music", "OPUS") is None
    assert sounds.frames("no-such", "PCMU") is None
    assert sounds.frames("../music", "PCMU") is None


def test_a_name_leads_to_no_file_outside(tmp_path: Path) -> None:
    prepare(Wanted("en", "US"), tmp_path)
    for name in ("../settings", "en/closed", "/etc/passwd", "", "tone/", "tone/../busy"):
        assert Sounds(tmp_path).frames(name, "PCMU") is None


@speaking
def test_names_and_places_are_made_ready_for_the_safety_team(tmp_path: Path) -> None:
    place = Location(id="hall", name="Hall", address="1 Main Street")
    emergency = Emergency(safety_team=("u1001",))
    users = (User(id="u1001", name="Ann Lee", extension="1001"),)
    site = msgspec.structs.replace(bundle(), users=users, locations=(place,), emergency=emergency)
    applied(tmp_path, site)
    assert read_shelf(tmp_path).files.keys() >= {location_sound("hall"), user_sound("u1001")}
    assert applied(tmp_path, site) == []


def test_what_cannot_be_spoken_of_them_is_told_once(tmp_path: Path) -> None:
    users = tuple(User(id=name, name=name, extension=f"100{name}") for name in ("1", "2"))
    emergency = Emergency(safety_team=("1",))
    site = msgspec.structs.replace(bundle(language="xx"), users=users, emergency=emergency)
    (told,) = applied(tmp_path, site)
    assert told.startswith("warning: 2 names and places will not be said in alert calls: ")
