"""`holdfast sounds`: what phones can be made to hear, and whether a recording can be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from appliance.bundle.wav import read_wav, write_wav
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, coloured, print_json, print_table
from appliance.errors import LocalError
from appliance.files import write_durably
from appliance.media.sounds import Sounds
from appliance.rtp.g711 import decode_ulaw
from appliance.rtp.loudness import TARGET, active_level
from appliance.rtp.progress_tone import SUPPORTED
from appliance.rtp.recording import samples_of, wav_of
from appliance.sounds.defaults import prompt_text, texts
from appliance.sounds.shelf import Shelf, read_shelf

NEAR = 8.0
"""dB from our prompts' level at which a recording sounds too loud or too quiet beside them."""
TEXT_SHOWN = 60
"""Characters of a prompt in the table."""


def add_parser(subparsers: Any) -> None:
    """Add `sounds`."""
    parser = new_parser(subparsers, "sounds", "list prompts, music and tones, or try a recording")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = new_parser(actions, "list", "list every sound with what it says")
    add_json_option(listing)
    listing.set_defaults(run=_list)
    saving = new_parser(actions, "save", "write a sound to a WAV file, as phones hear it")
    saving.add_argument("name", help="as `list` shows it")
    saving.add_argument("file", type=Path)
    saving.set_defaults(run=_save)
    checking = new_parser(actions, "check", "tell whether a WAV file can be a prompt of the bundle")
    checking.add_argument("file", type=Path)
    add_json_option(checking)
    checking.set_defaults(run=_check)


def _list(arguments: argparse.Namespace) -> int:
    shelf = read_shelf(settings_of(arguments).sounds_folder)
    rows = [_row(name, shelf) for name in _names(shelf)]
    if arguments.json:
        print_json({"language": shelf.language, "country": shelf.country, "sounds": rows})
        return OK
    print_table(
        ("name", "from", "says"),
        [(row["name"], row["source"], _short(row["text"])) for row in rows],
    )
    for name, reason in shelf.missing.items():
        print(coloured(clean(f"{name}: {reason}"), "yellow"))
    return OK


def _names(shelf: Shelf) -> list[str]:
    tones = [f"tone/{name}" for name in SUPPORTED]
    prompts = {name for spoken in texts().values() for name in spoken}
    return ["music", *tones, *sorted(prompts | shelf.files.keys() | shelf.missing.keys())]


def _row(name: str, shelf: Shelf) -> dict[str, str]:
    source = "bundle" if name in shelf.files else "Holdfast"
    if name in shelf.missing:
        source = "Holdfast, as the bundle's could not be made"
    text = "" if source == "bundle" else prompt_text(name, shelf.language)
    if text is None and not name.startswith("tone/") and name != "music":
        source = "nowhere"
    return {"name": name, "source": source, "text": text or ""}


def _short(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 3] + "..."


def _save(arguments: argparse.Namespace) -> int:
    frames = Sounds(settings_of(arguments).sounds_folder).frames(arguments.name, "PCMU")
    if frames is None:
        raise LocalError(f"there is no sound `{arguments.name}`; see holdfast sounds list")
    wav = wav_of(decode_ulaw(b"".join(frames)))
    write_durably(arguments.file, write_wav(wav), 0o644)
    print(f"{arguments.file}: {wav.seconds:.1f} s")
    return OK


def _check(arguments: argparse.Namespace) -> int:
    try:
        wav = read_wav(arguments.file.read_bytes())
    except OSError as error:
        raise LocalError(f"{arguments.file}: {error.strerror}") from error
    except LocalError as error:
        if arguments.json:
            print_json({"taken": False, "reason": str(error)})
        else:
            print(coloured(f"not taken: {error}", "red"))
        return NO
    level = round(active_level(samples_of(wav)), 1)
    told = {
        "taken": True,
        "coding": wav.coding,
        "rate": wav.rate,
        "channels": wav.channels,
        "seconds": round(wav.seconds, 2),
        "level": max(level, -96.0),
        "advice": _advice(level),
    }
    if arguments.json:
        print_json(told)
        return OK
    kind = "mono" if wav.channels == 1 else "stereo"
    print(f"taken: {wav.coding}, {wav.rate} Hz, {kind}, {wav.seconds:.1f} s, {level:.0f} dBov")
    if told["advice"]:
        print(coloured(str(told["advice"]), "yellow"))
    return OK


def _advice(level: float) -> str:
    if level < -90:
        return "there is only silence in it"
    if abs(level - TARGET) <= NEAR:
        return ""
    change, way = abs(level - TARGET), "louder" if level < TARGET else "quieter"
    return f"beside other prompts it sounds wrong; make it {change:.0f} dB {way}"
