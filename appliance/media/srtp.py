"""SRTP and SRTCP (RFC 3711, 6188, 7714) with keys from SDP, in place in the packet buffer.

libsrtp does the work, by way of pylibsrtp's own binding: its `Session` copies each packet twice.
What the binding does not declare (AES with 256-bit keys in counter mode, the rollover counter) is
called by ctypes in the same library. Sizes in, sizes out; 0 says that the packet is refused.
"""

from __future__ import annotations

import ctypes
import struct
from functools import partial
from typing import Any, Final

from pylibsrtp import _binding

from appliance.call.actions import Keys
from appliance.errors import LocalError
from appliance.media.buffer import BUFFER, VIEW
from appliance.rtp.packet import is_rtcp, is_rtp

_ffi: Final[Any] = _binding.ffi
_lib: Final[Any] = _binding.lib
_more: Final = ctypes.CDLL(_binding.__file__)
"""The library that the binding has loaded already, with all its symbols."""

WINDOW: Final = 1024
"""Packets behind the newest that may still come (RFC 3711, 3.3.2: at least 64); 20 s of G.711."""
STREAMS_LIMIT: Final = 256
"""Synchronization sources of one key. Each is remembered for as long as the key lives, as a source
that came back with a fresh counter would repeat its key stream."""
ROLLOVERS: Final = 64
"""Rollover counters tried for a source that joins late: 23 hours of G.711."""
SEARCHES_PER_SECOND: Final = 8
"""Packets for which all counters are tried: 0.2 ms each."""
LATE = 2.0
"""Seconds in which packets under the old key are still taken after the first under the new one."""
LATE_LONGEST = 10.0
"""Seconds after which the old key is forgotten whatever comes."""

_PACKET: Final = _ffi.from_buffer("char[]", BUFFER)
_SIZE: Final = _ffi.new("int *")
_SSRC: Final = struct.Struct(">I").unpack_from
_PACKET_LIMIT: Final = 65507
_PROFILES: Final[dict[str, tuple[str, str]]] = {
    "AES_CM_128_HMAC_SHA1_80": ("rtp_default", "rtp_default"),
    "AES_CM_128_HMAC_SHA1_32": ("aes_cm_128_hmac_sha1_32", "rtp_default"),
    "AES_256_CM_HMAC_SHA1_80": ("aes_cm_256_hmac_sha1_80", "aes_cm_256_hmac_sha1_80"),
    "AES_256_CM_HMAC_SHA1_32": ("aes_cm_256_hmac_sha1_32", "aes_cm_256_hmac_sha1_80"),
    "AEAD_AES_128_GCM": ("aes_gcm_128_16_auth", "aes_gcm_128_16_auth"),
    "AEAD_AES_256_GCM": ("aes_gcm_256_16_auth", "aes_gcm_256_16_auth"),
}
"""libsrtp's setters for RTP and RTCP; SRTCP always has the long tag (RFC 4568, 6.2).

The suites with 192-bit keys are missing: it derives their session keys with AES-256 (2.7.0), which
is not what RFC 6188, 6.2 says nor what other phones do.
"""
_DRAFT_NAMES: Final = {
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}
SUITES: Final = frozenset(_PROFILES) | frozenset(_DRAFT_NAMES)
"""What can be bridged; other suites only pass as they are."""


class _Context:
    """One libsrtp session: every source under one key, in one direction."""

    def __init__(self, keys: Keys, direction: int) -> None:
        suite = _DRAFT_NAMES.get(keys.suite, keys.suite)
        if suite not in _PROFILES:
            raise LocalError(f"{keys.suite[:40]} cannot be bridged")
        self._key = _ffi.new("unsigned char[]", keys.key_salt)
        self._policy = _policy(suite, self._key, direction)
        made = _ffi.new("srtp_t *")
        _check(_lib.srtp_create(made, self._policy))
        self._made = _ffi.gc(made, lambda pointer: _lib.srtp_dealloc(pointer[0]))
        self._session = made[0]
        self._sources: set[int] = set()
        self._mki = _mki(keys.mki)
        is_aead = suite.startswith("AEAD")
        # Between packet and tag, but at the very end in RFC 7714, 8.1 and 9.1.
        self._rtp_tag = 0 if is_aead else (4 if suite.endswith("_32") else 10)
        self._rtcp_tag = 0 if is_aead else 10

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _insert_mki(self, size: int, tag: int) -> int:
        mki = self._mki
        place = size - tag
        VIEW[place + len(mki) : size + len(mki)] = bytes(VIEW[place:size])
        VIEW[place : place + len(mki)] = mki
        return size + len(mki)

    def _remove_mki(self, size: int, tag: int) -> int:
        """Return the size without the identifier, 0 when it is not our key's."""
        mki = self._mki
        place = size - tag - len(mki)
        if place < 8 or VIEW[place : place + len(mki)] != mki:
            return 0
        VIEW[place : place + tag] = bytes(VIEW[size - tag : size])
        return size - len(mki)


class SrtpSender(_Context):
    """Protects what a phone is sent."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys, _lib.ssrc_any_outbound)

    def rtp(self, size: int) -> int:
        """Protect the RTP packet in the buffer; return its new size, 0 when it cannot be."""
        if not is_rtp(VIEW[:size]):
            return 0
        source = _SSRC(BUFFER, 8)[0]
        if source not in self._sources and not self._remember(source):
            return 0
        _SIZE[0] = size
        if _lib.srtp_protect(self._session, _PACKET, _SIZE):
            return 0
        return self._insert_mki(_SIZE[0], self._rtp_tag) if self._mki else int(_SIZE[0])

    def rtcp(self, size: int) -> int:
        """Protect the RTCP packet in the buffer; return its new size, 0 when it cannot be."""
        if not is_rtcp(VIEW[:size]):
            return 0
        source = _SSRC(BUFFER, 4)[0]
        if source not in self._sources and not self._remember(source):
            return 0
        _SIZE[0] = size
        if _lib.srtp_protect_rtcp(self._session, _PACKET, _SIZE):
            return 0
        return self._insert_mki(_SIZE[0], self._rtcp_tag) if self._mki else int(_SIZE[0])

    def _remember(self, source: int) -> bool:
        if len(self._sources) >= STREAMS_LIMIT:
            return False
        self._sources.add(source)
        return True


class SrtpReceiver(_Context):
    """Opens what a phone sends, refusing what is forged or was there before."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys, _lib.ssrc_any_inbound)
        self._inbound = _policy_for_source(self._policy)
        self._reporters: set[int] = set()
        """Sources of RTCP; of RTP they need not be, as whoever only listens reports as well."""
        self._searches = 0
        self._search_until = 0.0

    def rtp(self, size: int, now: float) -> int:
        """Open the SRTP packet in the buffer; return the size of the RTP packet, 0: refused.

        What was refused is not left in the buffer as it came.
        """
        if size < 12 or size > _PACKET_LIMIT:
            return 0
        if self._mki:
            size = self._remove_mki(size, self._rtp_tag)
            if not size:
                return 0
        source = _SSRC(BUFFER, 8)[0]
        if source not in self._sources:
            return self._first_of(source, size, now)
        _SIZE[0] = size
        return 0 if _lib.srtp_unprotect(self._session, _PACKET, _SIZE) else int(_SIZE[0])

    def rtcp(self, size: int) -> int:
        """Open the SRTCP packet in the buffer; return the size of the RTCP packet, 0: refused."""
        if size < 12 or size > _PACKET_LIMIT:
            return 0
        if self._mki:
            size = self._remove_mki(size, self._rtcp_tag)
        source = _SSRC(BUFFER, 4)[0]
        is_new = source not in self._reporters
        if not size or (is_new and len(self._reporters) >= STREAMS_LIMIT):
            return 0
        _SIZE[0] = size
        if _lib.srtp_unprotect_rtcp(self._session, _PACKET, _SIZE):
            return 0
        if is_new:
            self._reporters.add(source)
        return int(_SIZE[0])

    def _first_of(self, source: int, size: int, now: float) -> int:
        """Open the first packet of a source, which may have begun long before we listened."""
        if len(self._sources) >= STREAMS_LIMIT:
            return 0
        kept = bytes(VIEW[:size])
        _SIZE[0] = size
        opened = not _lib.srtp_unprotect(self._session, _PACKET, _SIZE)
        if not opened:
            opened = self._may_search(now) and self._search(source, kept)
        if opened:
            self._sources.add(source)
        return int(_SIZE[0]) if opened else 0

    def _may_search(self, now: float) -> bool:
        if now >= self._search_until:
            self._search_until, self._searches = now + 1.0, 0
        self._searches += 1
        return self._searches <= SEARCHES_PER_SECOND

    def _search(self, source: int, kept: bytes) -> bool:
        """Try higher rollover counters (RFC 3711, 3.3.1): nobody tells a late listener."""
        self._inbound.ssrc.value = source
        session = ctypes.c_void_p(int(_ffi.cast("uintptr_t", self._session)))
        set_counter = partial(_more.srtp_set_stream_roc, session, ctypes.c_uint32(source))
        # There already when its RTCP came first.
        is_new = bool(set_counter(ctypes.c_uint32(1)))
        if is_new and _lib.srtp_add_stream(self._session, self._inbound):
            return False
        for counter in range(1, ROLLOVERS):
            # AEAD suites leave what they could not open in pieces.
            VIEW[: len(kept)] = kept
            set_counter(ctypes.c_uint32(counter))
            _SIZE[0] = len(kept)
            if not _lib.srtp_unprotect(self._session, _PACKET, _SIZE):
                return True
        if is_new:
            _lib.srtp_remove_stream(self._session, _network_order(source))
        else:
            set_counter(ctypes.c_uint32(0))
        return False


class Inbound:
    """Opens what one phone sends, over changes of its key.

    A key that is named again keeps its counters (RFC 3711, 3.2.1). After a change of key, packets
    that were sent before it and arrive after it are still opened for a moment.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._receiver = SrtpReceiver(keys)
        self._late: SrtpReceiver | None = None
        self._late_until = 0.0

    def change(self, keys: Keys, now: float) -> None:
        """Expect these keys from now on."""
        if keys != self.keys:
            self._late, self._receiver = self._receiver, SrtpReceiver(keys)
            self._late_until = now + LATE_LONGEST
            self.keys = keys

    def rtp(self, size: int, now: float) -> int:
        """Open the SRTP packet in the buffer; return the size of the RTP packet, 0: refused."""
        late = self._late
        if late is None:
            return self._receiver.rtp(size, now)
        kept = bytes(VIEW[:size])
        opened = self._receiver.rtp(size, now)
        if opened:
            self._late_until = min(self._late_until, now + LATE)
        elif now < self._late_until:
            VIEW[:size] = kept
            opened = late.rtp(size, now)
        if now >= self._late_until:
            self._late = None
        return opened

    def rtcp(self, size: int) -> int:
        """Open the SRTCP packet in the buffer; return the size of the RTCP packet, 0: refused."""
        if self._late is None:
            return self._receiver.rtcp(size)
        kept = bytes(VIEW[:size])
        opened = self._receiver.rtcp(size)
        if not opened:
            VIEW[:size] = kept
            opened = self._late.rtcp(size)
        return opened


def _policy(suite: str, key: Any, direction: int) -> Any:
    policy = _ffi.new("srtp_policy_t *")
    for place, name in zip((policy.rtp, policy.rtcp), _PROFILES[suite], strict=True):
        address = int(_ffi.cast("uintptr_t", _ffi.addressof(place)))
        getattr(_more, f"srtp_crypto_policy_set_{name}")(ctypes.c_void_p(address))
    policy.key = key
    policy.ssrc.type = direction
    policy.window_size = WINDOW
    return policy


def _policy_for_source(policy: Any) -> Any:
    """Return the same policy for a single source; its key must outlive it."""
    single = _ffi.new("srtp_policy_t *", policy[0])
    single.ssrc.type = _lib.ssrc_specific
    return single


def _network_order(source: int) -> int:
    return int.from_bytes(source.to_bytes(4, "big"), "little" if _IS_LITTLE else "big")


_IS_LITTLE: Final = struct.pack("=H", 1) == b"\1\0"


def _mki(text: str) -> bytes:
    """Return the key identifier's bytes in a packet."""
    if not text:
        return b""
    value, _, length = text.partition(":")
    try:
        return int(value).to_bytes(int(length), "big")
    except (ValueError, OverflowError) as error:
        raise LocalError("a key identifier does not fit its length") from error


def _check(status: int) -> None:
    if status:
        raise LocalError(f"libsrtp refuses a key (status {status})")
