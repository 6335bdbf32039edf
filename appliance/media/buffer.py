"""The one packet buffer: a packet is received, changed and sent on before the next is read."""

from __future__ import annotations

from typing import Final

TRAILER: Final = 256
"""Room behind the largest datagram for what SRTP adds: tag, SRTCP index and key identifier."""
BUFFER: Final = bytearray(65536 + TRAILER)
VIEW: Final = memoryview(BUFFER)
