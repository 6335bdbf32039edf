"""Messages that callers hear."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import rows
from appliance.bundle.wav import read_wav
from appliance.errors import LocalError


def prompts_can_be_heard(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a prompt without anything to hear, and audio that no phone could be played."""
    for path, prompt in rows("prompts", bundle.prompts):
        if prompt.audio:
            try:
                read_wav(prompt.audio)
            except LocalError as error:
                yield Problem(f"{path}.audio", str(error))
        elif not prompt.text.strip():
            yield Problem(path, "has neither `text` nor `audio`; write what it shall say")
