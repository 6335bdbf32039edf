"""What a phone sends, as a WAV file: 16-bit samples at 8 kHz, bounded, written by a thread.

The loop never waits for a disk: seconds of sound go into a bounded queue. What the disk cannot
take ends the recording, and says so.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import Final

from appliance.call.actions import Codec
from appliance.errors import LocalError, RemoteError
from appliance.media.digits import DECODE
from appliance.media.loop import Loop
from appliance.rtp.packet import RtpPacket

RATE: Final = 8000
LONGEST: Final = 3600.0
"""Seconds of one recording, 58 MB."""
CHUNK: Final = 2 * RATE
"""Octets handed to the disk at a time: one second."""
QUEUE_LIMIT: Final = 256
"""Chunks waiting for the disk, of all recordings: 4 MiB."""
GAP_LIMIT: Final = RATE * 10
"""Samples of silence written for a pause of the phone's; a longer one is shortened."""

Job = Callable[[], None]


class Disk:
    """One thread that writes, begun with the first recording; its answers come by the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._jobs: Queue[Job | None] = Queue(QUEUE_LIMIT)
        self._last: deque[Job] = deque()
        self._answers: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._bell = -1

    def ask(self, job: Job) -> bool:
        """Do this on the thread, after all before it; False: the disk does not keep up."""
        if self._thread is None:
            self._begin()
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def finish(self, job: Job) -> None:
        """Do this on the thread soon, however much waits: one for each recording at most."""
        self._last.append(job)

    def answer(self, job: Job) -> None:
        """Let the loop do this; called on the thread."""
        self._answers.append(job)
        os.eventfd_write(self._bell, 1)

    def close(self, patience: float = 5.0) -> None:
        """Write what waits, for at most so many seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with suppress(Full):
            self._jobs.put(None, timeout=patience)
            thread.join(patience)
        self._collect(0)
        self._loop.remove(self._bell)
        if not thread.is_alive():
            os.close(self._bell)

    def _begin(self) -> None:
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._loop.add(self._bell, self._collect)
        self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
        self._thread.start()

    def _collect(self, _events: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        while self._answers:
            self._answers.popleft()()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            while self._last:
                self._last.popleft()()


class Recorder:
    """One recording, from its first packet until `stop` or until it cannot go on."""

    def __init__(
        self,
        disk: Disk,
        path: Path,
        codecs: Mapping[int, Codec],
        ended: Callable[[float, str], None],
    ) -> None:
        """`ended` gets the seconds recorded and why it ended, empty when it was asked to."""
        self.codecs = codecs
        self._disk = disk
        self._path = path
        self._ended = ended
        self._file = -1
        self._written = 0
        """Octets of sound on the disk; the thread's, as are `_file` and `_told`."""
        self._told = False
        self._samples = bytearray()
        self._length = 0
        """Samples taken so far."""
        self._expected: int | None = None
        self._stopped = False
        if not disk.ask(self._open):
            self._give_up("the disk does not keep up")

    def hear(self, packet: memoryview, _now: float) -> None:
        """Take an RTP packet of the phone's."""
        codec = self.codecs.get(packet[1] & 0x7F) if len(packet) > 1 else None
        if self._stopped or codec is None or codec.name not in DECODE:
            return
        try:
            parsed = RtpPacket.parse(bytes(packet))
        except RemoteError:
            return
        samples = DECODE[codec.name](parsed.payload)
        gap = self._gap(parsed.timestamp)
        if gap is None:
            return
        self._expected = parsed.timestamp + len(samples) & 0xFFFFFFFF
        self._samples += bytes(2 * gap) + samples.tobytes()
        self._length += gap + len(samples)
        if self._length >= LONGEST * RATE:
            self.stop("it has reached its longest length")
        elif len(self._samples) >= CHUNK:
            self._flush()

    def stop(self, reason: str = "") -> None:
        """Write the rest and close the file; `ended` is called when that is done."""
        if self._stopped:
            return
        self._flush()
        if self._stopped:
            return
        self._stopped = True
        if not self._disk.ask(lambda: self._close(reason)):
            self._give_up("the disk does not keep up")

    def _gap(self, timestamp: int) -> int | None:
        """Return the samples missing before this packet, None for one that comes too late."""
        if self._expected is None:
            return 0
        gap = timestamp - self._expected & 0xFFFFFFFF
        return min(gap, GAP_LIMIT) if gap < 1 << 31 else None

    def _flush(self) -> None:
        chunk = bytes(self._samples)
        self._samples.clear()
        if chunk and not self._disk.ask(lambda: self._write(chunk)):
            self._give_up("the disk does not keep up")

    def _give_up(self, reason: str) -> None:
        self._stopped = True
        self._disk.finish(lambda: self._close(reason))

    # -- on the thread ------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o640)
            # After a crash the same recording goes on.
            self._written = max(0, os.fstat(self._file).st_size - len(_head(0))) & ~1
            os.pwrite(self._file, _head(self._written), 0)
            os.lseek(self._file, len(_head(0)) + self._written, os.SEEK_SET)
        except OSError as error:
            self._fail(error)

    def _write(self, chunk: bytes) -> None:
        if self._file < 0:
            return
        try:
            _write_all(self._file, chunk)
            self._written += len(chunk)
            # With each second, so that a recording cut off by a crash plays up to there.
            os.pwrite(self._file, _head(self._written), 0)
        except OSError as error:
            self._fail(error)

    def _close(self, reason: str) -> None:
        if self._file < 0:
            # It could not be opened: either that was told already, or there was no time for it.
            if not self._told:
                self._tell(0.0, reason)
            return
        seconds = self._written / 2 / RATE
        try:
            os.fsync(self._file)
        except OSError as error:
            self._fail(error)
            return
        os.close(self._file)
        self._file = -1
        self._tell(seconds, reason)

    def _fail(self, error: OSError) -> None:
        reason = f"{self._path.name}: {error.strerror}"
        seconds = self._written / 2 / RATE
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._tell(seconds, reason)

    def _tell(self, seconds: float, reason: str) -> None:
        self._told = True
        self._disk.answer(lambda: self._end(seconds, reason))

    # -- on the loop again --------------------------------------------------------------------

    def _end(self, seconds: float, reason: str) -> None:
        self._stopped = True
        self._ended(seconds, reason)


def recording_path(folder: Path, name: str) -> Path:
    """Return where a recording goes; raises LocalError for a name that leads elsewhere."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".wav":
        raise LocalError("a recording is a .wav file under the data folder")
    return folder / path


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _head(octets: int) -> bytes:
    """Return the head of a WAV file with so many octets of 16-bit mono sound."""
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", octets)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + octets) + b"WAVE" + chunks
