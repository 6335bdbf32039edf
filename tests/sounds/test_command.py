"""`holdfast sounds`: words in, text and exit status out."""

from __future__ import annotations

import json
from array import array
from math import pi, sin
from pathlib import Path

import pytest

from appliance.bundle import Prompt
from appliance.bundle.wav import Wav, read_wav, write_wav
from appliance.cli.command import main
from appliance.sounds.preparation import Wanted, prepare


def wav(level: float = 0.3, rate: int = 8000) -> bytes:
    wave = (round(32767 * level * sin(2 * pi * 500 * n / rate)) for n in range(rate))
    return write_wav(Wav("PCM", rate, 1, array("h", wave).tobytes()))


def sounds(folder: Path, *words: str) -> int:
    return main(["--data", str(folder), "sounds", *words])


def test_the_list_tells_where_each_sound_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = (
        Prompt(id="closed", audio=wav()),
        Prompt(id="odd", text="x", language="zzz"),
        Prompt(id="menu", text="x", language="zzz"),
    )
    prepare(Wanted("en", "GB", prompts), tmp_path / "sounds")
    assert sounds(tmp_path, "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["language"], told["country"]) == ("en", "GB")
    source = {row["name"]: row["source"] for row in told["sounds"]}
    assert source["closed"] == "bundle"
    assert source["goodbye"] == source["music"] == source["tone/busy"] == "Holdfast"
    assert source["menu"] == "Holdfast, as the bundle's could not be made"
    assert source["odd"] == "nowhere"
    assert sounds(tmp_path, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["goodbye", "Holdfast", "Goodbye."] for line in lines)
    assert any(line.startswith("odd: espeak-ng") for line in lines)


def test_without_a_bundle_the_list_is_what_ships(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sounds(tmp_path, "list") == 0
    assert len(capsys.readouterr().out.splitlines()) > 100


def test_a_sound_is_saved_as_phones_hear_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "busy.wav"
    assert sounds(tmp_path, "save", "tone/busy", str(file)) == 0
    assert capsys.readouterr().out == f"{file}: 1.0 s\n"
    saved = read_wav(file.read_bytes())
    assert (saved.coding, saved.rate, saved.channels) == ("PCM", 8000, 1)
    assert sounds(tmp_path, "save", "nonsense", str(file)) == 2
    assert "there is no sound `nonsense`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (wav(0.16), 0, "taken: PCM, 8000 Hz, mono, 1.0 s, -19 dBov\n"),
        (wav(0.16, 16000), 0, "taken: PCM, 16000 Hz, mono, 1.0 s, -19 dBov\n"),
        (wav(0.005), 0, "make it 30 dB louder\n"),
        (wav(0.99), 0, "make it 16 dB quieter\n"),
        (wav(0), 0, "there is only silence in it\n"),
        (b"MP3", 1, "not taken: not a WAV file; save it as WAV, 8 or 16 kHz, 16-bit PCM\n"),
    ],
)
def test_a_recording_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, status: int, told: str
) -> None:
    file = tmp_path / "prompt.wav"
    file.write_bytes(content)
    assert sounds(tmp_path, "check", str(file)) == status
    assert capsys.readouterr().out.endswith(told)
    assert sounds(tmp_path, "check", str(file), "--json") == status
    assert json.loads(capsys.readouterr().out)["taken"] is (status == 0)


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sounds(tmp_path, "check", str(tmp_path / "none.wav")) == 2
    assert "none.wav: No such file" in capsys.readouterr().err
