"""The sounds that ship: which there are, what they say, where they lie."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
MUSIC = FOLDER / "music.wav"
"""What is played while somebody holds; ours, made by `sounds.music`."""
FALLBACK = "en"
"""The language that has every prompt."""


@cache
def texts() -> dict[str, dict[str, str]]:
    """Return what each prompt says, by language and id."""
    with (FOLDER / "prompts.toml").open("rb") as file:
        return tomllib.load(file)


def languages() -> list[str]:
    """Return the languages that have default prompts."""
    return sorted(texts())


def prompt_text(name: str, language: str) -> str | None:
    """Return what a default prompt says in a language or its nearest kin; None: no such prompt."""
    for kin in _kin(language):
        if name in texts().get(kin, {}):
            return texts()[kin][name]
    return None


def prompt_file(name: str, language: str) -> Path | None:
    """Return the file of a default prompt in a language or its nearest kin; None: no such."""
    for kin in _kin(language):
        if name in texts().get(kin, {}):
            return FOLDER / kin / f"{name}.wav"
    return None


def _kin(language: str) -> tuple[str, str, str]:
    return language, language.partition("-")[0], FALLBACK
