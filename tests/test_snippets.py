"""Every piece of a bundle in the documents is one that Holdfast takes and serves."""

from __future__ import annotations

import base64
import json
import re
from array import array
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle, decode
from appliance.bundle.wav import Wav, write_wav
from appliance.call.actions import Notice
from appliance.cloud.sample import make_sample
from appliance.core import Core
from appliance.ports import Restored
from appliance.premises import Premises
from appliance.rehearsal import Rehearsal, rehearse
from appliance.settings import Settings
from appliance.sip.identifiers import CountedIdentifiers

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RECORDING = base64.b64encode(write_wav(Wav("PCM", 8000, 1, array("h", [0] * 800).tobytes())))
STANDS_FOR = {"<WAV file in base64>": RECORDING.decode()}
"""What a reader has to put in, and what that may be."""
AT = 1_800_000_000.0
SECTIONS = {field.encode_name for field in msgspec.structs.fields(Bundle)}


def snippets() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file in DOCUMENTS:
        for number, text in enumerate(BLOCK.findall(file.read_text(encoding="utf-8"))):
            for words, value in STANDS_FOR.items():
                text = text.replace(words, value)
            whole = text if text.lstrip().startswith(("{", "[")) else "{" + text + "}"
            part = json.loads(whole)
            if isinstance(part, dict) and SECTIONS & part.keys():
                found.append((f"{file.relative_to(ROOT)} {number + 1}", part))
    return found


SNIPPETS = snippets()


def with_part(bundle: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Put a snippet into a bundle: what has the same id is changed, all else is added."""
    return bundle | {name: merged(bundle.get(name), value) for name, value in part.items()}


def merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return with_part(old, new)
    if not (isinstance(old, list) and old and isinstance(new, list)):
        return new
    if not all(isinstance(one, dict) and "id" in one for one in (*old, *new)):
        return new
    named = {one["id"]: one for one in old}
    named |= {one["id"]: with_part(named.get(one["id"], {}), one) for one in new}
    return list(named.values())


@pytest.mark.parametrize(("place", "part"), SNIPPETS, ids=[place for place, _ in SNIPPETS])
def test_a_snippet_is_part_of_a_good_bundle_and_is_served(place: str, part: dict[str, Any]) -> None:
    sample = json.loads(make_sample(users=10, contacts=0).bundle_json())
    plain = {**sample, "groups": [], "prompts": [], "hours": []}
    bundle = decode(json.dumps(with_part(plain, part)).encode())
    core = Core(Settings(), CountedIdentifiers("d"), lambda now: AT + now, Restored())
    core.start(0.0)
    done = core.apply(bundle, 0.0)
    assert [one.text for one in done if isinstance(one, Notice) and one.severity == "alarm"] == []
    assert core.command("status", {}, 1.0)[0]["bundle"]["version"] == bundle.version
    for group in bundle.groups:
        steps = rehearse(Premises(bundle), Rehearsal(group.extension), AT)[2]
        assert steps, f"{group.extension} leads nowhere"


def test_there_are_snippets() -> None:
    assert {place.split()[0] for place, _ in SNIPPETS} >= {
        "docs/forwarding.md",
        "docs/groups.md",
        "docs/qos.md",
        "docs/sounds.md",
    }
