"""A real phone: baresip with a sine wave as its microphone and a file as its loudspeaker."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from tests.system.network import Host
from tests.system.tone import heard, loudest, write
from tests.system.waiting import until

MODULES = ("g711", "srtp", "uuid", "account", "menu", "ctrl_tcp", "aufile", "aubridge", "sndfile")
"""The loudspeaker is a bridge to nobody: the one of aufile in 1.1 crashes when a call is held."""
CONTROL_PORT = 4444

CONFIGURATION = """\
poll_method epoll
sip_listen {address}:5060
{verification}
call_max_calls 4
module_path /usr/lib/baresip/modules
audio_source aufile,{tone}
audio_player aubridge,nobody
audio_alert none,none
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports 10000-19998
statmode_default off
ctrl_tcp_listen 127.0.0.1:{port}
snd_path {recordings}
{dns}
"""


class Baresip:
    """One phone on one host; `tone` in Hz is what it says, its folder keeps what it hears."""

    def __init__(self, host: Host, folder: Path, tone: int, account: str, **more: str) -> None:
        self.host, self.tone = host, tone
        self.name = account.partition("sip:")[2].partition("@")[0]
        self.folder = folder / host.name
        self.recordings = self.folder / "heard"
        self.events: list[dict[str, Any]] = []
        self._pending = b""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.recordings.mkdir(parents=True)
        modules = "".join(f"module {name}.so\n" for name in MODULES)
        text = CONFIGURATION.format(
            address=host.address,
            tone=write(folder, tone),
            port=CONTROL_PORT,
            recordings=self.recordings,
            verification=more.get("verification", ""),
            dns=more.get("dns", ""),
        )
        (self.folder / "config").write_text(text + modules)
        (self.folder / "accounts").write_text("")
        (self.folder / "contacts").write_text("")
        self.log = self.folder / "log"
        self._start(account)

    def _start(self, account: str) -> None:
        self.process = self.host.start("baresip", "-f", str(self.folder), "-s", log=self.log)
        self._control = self._connect()
        # Only now, so that no event comes before we listen.
        self.do("uanew", account)

    def restart(self, account: str) -> None:
        """Switch the phone off and on, with this account; its events go on.

        After some calls and changes of account baresip may end by itself: it is then only begun.
        """
        self._control.close()
        self._pending = b""
        self.process.terminate()
        self.process.wait(10)
        self._start(account)

    def _connect(self) -> socket.socket:
        def attempt() -> socket.socket | None:
            with self.host.inside():
                try:
                    return socket.create_connection(("127.0.0.1", CONTROL_PORT), 1)
                except OSError:
                    return None

        control = until(attempt, 10, f"baresip of {self.host.name} takes commands")
        control.settimeout(0.2)
        return control

    def do(self, command: str, parameters: str = "") -> None:
        """Give a command, as typed at baresip's prompt."""
        text = json.dumps({"command": command, "params": parameters, "token": "t"})
        self._control.sendall(b"%d:%s," % (len(text), text.encode()))

    def listen(self) -> None:
        """Take in the events that have come."""
        try:
            self._pending += self._control.recv(65536)
        except TimeoutError:
            return
        while b":" in self._pending:
            size, _, rest = self._pending.partition(b":")
            length = int(size)
            if len(rest) <= length:
                return
            self.events.append(json.loads(rest[:length]))
            self._pending = rest[length + 1 :]

    def seen(self, kind: str, since: int = 0) -> dict[str, Any] | None:
        """Give the first event of a kind that came after the first `since` ones."""
        self.listen()
        found = (event for event in self.events[since:] if event.get("type") == kind)
        return next(found, None)

    def wait(self, kind: str, seconds: float = 10, since: int = 0) -> dict[str, Any]:
        """Wait for an event."""
        what = f"{kind} at {self.host.name}"
        return until(lambda: self.seen(kind, since), seconds, what, self.trace)

    def become(self, account: str) -> None:
        """Forget the account and take this one; a phone that has ended by itself is begun."""
        if self.process.poll() is not None:
            self.restart(account)
            return
        aor = account.partition("<")[2].partition(">")[0].partition(";")[0]
        self.do("uadel", aor)
        self.do("uanew", account)

    def dial(self, target: str) -> None:
        """Call somebody."""
        self.do("dial", target)

    def hears(self, tone: int, seconds: float = 1.0) -> bool:
        """Tell whether the last thing heard is this tone."""
        files = sorted(
            self.recordings.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_mtime
        )
        return bool(files) and heard(files[-1], tone, seconds)

    def heard_amount(self) -> int:
        """Give the octets of audio heard so far, in all calls."""
        return sum(file.stat().st_size for file in self.recordings.glob("dump-*-dec.wav"))

    def silent(self, seconds: float = 1.0) -> bool:
        """Listen for a while and tell whether nothing came."""
        before = self.heard_amount()
        time.sleep(seconds)
        return self.heard_amount() == before

    def decoded(self) -> float:
        """Give the seconds of audio it has taken; its recording ends with the first re-INVITE."""
        since = len(self.events)
        self.do("audio_debug")

        def told() -> str | None:
            self.listen()
            found = (str(event["data"]) for event in self.events[since:] if event.get("response"))
            return next((text for text in found if "Audio stream" in text), None)

        text = until(told, 5, f"{self.host.name} tells of its audio", self.trace)
        found = re.search(r"n_discard:\d+\s+time = ([0-9.]+)", text)
        assert found, text
        return float(found[1])

    def listening(self, seconds: float = 1.0) -> bool:
        """Tell whether it takes audio all the time."""
        before = self.decoded()
        time.sleep(seconds)
        return 0.7 * seconds < self.decoded() - before < 2 * seconds + 1

    def messages(self) -> str:
        """Give the phone's log, with every SIP message it has sent and received."""
        return self.log.read_text(errors="replace")

    def ringing(self, since: int = 0) -> str | None:
        """Name the dialog of its first 180 after so many characters of its log, as Replaces does.

        What is its remote tag is our local one, and so the to-tag (RFC 3891, section 3).
        """
        _, _, rest = self.messages()[since:].partition("SIP/2.0 180 ")
        head = rest.replace("\r", "").partition("\n\n")
        fields = (r"^Call-ID: (\S+)", r"^From: .*;tag=([^;\s]+)", r"^To: .*;tag=([^;\s]+)")
        found = [re.search(field, head[0], re.MULTILINE) for field in fields] if head[1] else []
        names = [one[1] for one in found if one]
        return "{};to-tag={};from-tag={}".format(*names) if len(names) == 3 else None

    def trace(self) -> str:
        """Give the end of the phone's log, with its SIP messages, and what it heard."""
        files = sorted(self.recordings.glob("dump-*-dec.wav"))
        heard = (f"{file.name}: {file.stat().st_size} octets, {loudest(file)}" for file in files)
        return "\n".join([self.log.read_text(errors="replace")[-6000:], *heard])
