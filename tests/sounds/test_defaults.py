"""The sounds that ship: all there, even, without clicks, small, and made by the script."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.bundle import Prompt
from appliance.bundle.wav import read_wav
from appliance.rtp.g711 import decode_ulaw, encode_ulaw
from appliance.rtp.loudness import TARGET, active_level
from appliance.sounds.defaults import FOLDER, MUSIC, prompt_file, prompt_text, texts
from appliance.sounds.make import make
from appliance.sounds.music import LEVEL, compose
from appliance.sounds.speech import can_speak

PROMPTS = [(language, name) for language, prompts in texts().items() for name in prompts]


@pytest.mark.parametrize(("language", "name"), PROMPTS)
def test_a_prompt_is_there_and_even_and_does_not_click(language: str, name: str) -> None:
    wav = read_wav((FOLDER / language / f"{name}.wav").read_bytes())
    assert (wav.coding, wav.rate, wav.channels) == ("PCMU", 8000, 1)
    samples = decode_ulaw(wav.data)
    assert active_level(samples) == pytest.approx(TARGET, abs=1.5)
    assert max(map(abs, samples[:4])) < 64 and max(map(abs, samples[-4:])) < 64
    assert 0.2 < wav.seconds < 15


def test_there_is_no_file_without_a_text() -> None:
    files = {str(file.relative_to(FOLDER)) for file in FOLDER.glob("*/*.wav")}
    assert files == {f"{language}/{name}.wav" for language, name in PROMPTS}


def test_all_together_is_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.rglob("*.wav")) < 3_000_000


def test_every_id_can_be_one_of_the_bundle() -> None:
    for _, name in PROMPTS:
        assert Prompt(id=name, text="x").id == name


def test_every_number_to_99_can_be_said() -> None:
    said = texts()["en"]
    assert all(f"digit-{n}" in said for n in [*range(10), "star", "pound"])
    assert all(f"number-{n}" in said for n in [*range(10, 20), *range(20, 100, 10)])


def test_a_language_falls_back_to_its_kin_and_then_to_english() -> None:
    english = FOLDER / "en" / "closed.wav"
    assert prompt_file("closed", "en-GB") == prompt_file("closed", "sw") == english
    assert prompt_text("goodbye", "en-US") == "Goodbye."
    assert prompt_file("nothing", "en") is prompt_text("nothing", "en") is None


def test_the_music_is_what_the_script_composes() -> None:
    shipped = read_wav(MUSIC.read_bytes()).data
    assert shipped == encode_ulaw(compose())
    assert len(shipped) % 160 == 0
    samples = decode_ulaw(shipped)
    assert active_level(samples) == pytest.approx(LEVEL, abs=1)
    assert abs(samples[0] - samples[-1]) < 2000


@pytest.mark.skipif(not can_speak(), reason="espeak-ng is missing")
def test_the_script_makes_what_the_list_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {"en": {name: texts()["en"][name] for name in ("digit-1", "goodbye")}}
    monkeypatch.setattr("appliance.sounds.make.texts", lambda: some)
    made = {str(file.relative_to(tmp_path)): file.stat().st_size for file in make(tmp_path)}
    assert list(made) == ["en/digit-1.wav", "en/goodbye.wav", "music.wav"]
    for name, size in made.items():
        # Another version of the program may speak a little faster.
        assert size == pytest.approx((FOLDER / name).stat().st_size, rel=0.3)
