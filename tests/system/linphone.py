"""A real phone that mixes: linphone-daemon, which joins calls of its own in a conference.

It has no sound card, so it says nothing itself; what reaches it is heard by `ear.listen`.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from tests.system.network import APPLIANCE, Host
from tests.system.site import DOMAIN, password
from tests.system.waiting import until

CONFIGURATION = """\
[sip]
default_proxy=0
media_encryption=none
[net]
mtu=1300
[rtp]
audio_rtp_port=10000-19000
[proxy_0]
reg_proxy=<sip:{server}>
reg_route=<sip:{server};lr>
reg_identity=sip:{name}@{domain}
reg_expires=300
reg_sendregister=1
[auth_info_0]
username={name}
passwd={secret}
realm={domain}
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
[audio_codec_1]
mime=opus
rate=48000
channels=2
enabled=0
"""


class Linphone:
    """One phone on one host, registered with the appliance."""

    def __init__(self, host: Host, folder: Path, name: str) -> None:
        self.host, self.name = host, name
        home = folder / f"linphone-{host.name}"
        (home / ".local/share/linphone").mkdir(parents=True)
        self._printed, self.log = home / "out", home / "log"
        file = home / "rc"
        file.write_text(
            CONFIGURATION.format(server=APPLIANCE, name=name, domain=DOMAIN, secret=password(name))
        )
        words = ["--config", str(file), "--log", str(self.log), "--auto-answer"]
        pipe = Path("/tmp", home.name)  # it puts its socket there and nowhere else
        self.process = host.start(
            "linphone-daemon",
            *words,
            "--pipe",
            pipe.name,
            log=self._printed,
            environment={"HOME": str(home)},
        )
        self._control = self._connect(pipe)
        until(self._registered, 20, f"{name} is registered", self.trace)

    def _connect(self, pipe: Path) -> socket.socket:
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(10)

        def attempt() -> bool:
            try:
                control.connect(str(pipe))
            except OSError:
                return False
            return True

        until(attempt, 10, f"linphone of {self.host.name} takes commands", self.trace)
        pipe.unlink()
        return control

    def _registered(self) -> bool:
        return "RegistrationOk" in self.do("register-status ALL")

    def do(self, command: str) -> str:
        """Give a command and return what it says to it."""
        self._control.sendall(f"{command}\n".encode())
        return self._control.recv(65536).decode()

    def dial(self, number: str) -> str:
        """Call somebody; return the call's number once both talk."""
        found = re.search(r"Id: (\d+)", said := self.do(f"call sip:{number}@{DOMAIN}"))
        assert found, said
        self.reaches(found[1], "StreamsRunning")
        return found[1]

    def join(self, first: str, second: str) -> None:
        """Mix two calls: each hears the other, and we hear both."""
        for call in (first, second):
            self.do(f"conference add {call}")  # it says that it failed, and does it
            self.reaches(call, "StreamsRunning")

    def part(self, call: str) -> None:
        """Take a call out of the conference: it is held."""
        self.do(f"conference rm {call}")

    def reaches(self, call: str, state: str) -> None:
        """Wait until a call is in a state, as liblinphone names them; `gone` is none of them."""
        text = "No call with such id" if state == "gone" else f"LinphoneCall{state}\n"

        def told() -> bool:
            return text in self.do(f"call-status {call}")

        until(told, 10, f"call {call} of {self.name} is {state}", self.trace)

    def trace(self) -> str:
        """Give the end of its log."""
        file = self.log if self.log.exists() else self._printed
        return file.read_text(errors="replace")[-6000:]

    def close(self) -> None:
        """Give the socket back; the process ends with its host."""
        self._control.close()
