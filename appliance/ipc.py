"""How our processes talk: 4-byte big-endian length, then one msgpack `Message`; pure bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.errors import LocalError

FRAME_LIMIT = 16 << 20
"""Bytes of one message; 10,000 relays in one resync are 2 MB, a status of 10,000 phones 4 MB."""


class Fault(msgspec.Struct, frozen=True):
    """Say why a request was not done."""

    code: str
    """Stable machine name, e.g. `unknown_command`."""
    text: str
    """One sentence for a human."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request (`id`, `do`, `with`), its answer (`id`, `ok` or `error`), or an event pushed."""

    id: int | None = None
    do: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict, name="with")
    ok: Any = msgspec.UNSET
    error: Fault | None = None
    event: str = ""
    data: Any = None


def encode(message: Message) -> bytes:
    """Return the whole frame; structures and dataclasses inside become maps."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Cut one connection's bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._decode = msgspec.msgpack.Decoder(Message).decode

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are whole now; LocalError: close, this peer is none of ours."""
        rest = self._rest
        rest += data
        messages: list[Message] = []
        start = 0
        while len(rest) - start >= 4:
            end = start + 4 + int.from_bytes(rest[start : start + 4], "big")
            if end - start > FRAME_LIMIT:
                raise LocalError(f"a message of {end - start} bytes; {FRAME_LIMIT} is the limit")
            if len(rest) < end:
                break
            try:
                messages.append(self._decode(bytes(rest[start + 4 : end])))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise LocalError(f"not a message of ours: {error}") from error
            start = end
        del rest[:start]
        return messages
