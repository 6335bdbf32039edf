"""Phones played by sipp: registered, called and calling by scenario."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.system.network import APPLIANCE, Host
from tests.system.site import DOMAIN, password

SCENARIOS = Path(__file__).parent / "scenarios"
MODEL = "User-Agent: desk phone 7"


class Sipp:
    """One phone on one host; each act is one run of sipp on port 5060."""

    def __init__(self, host: Host, folder: Path, name: str, transport: str = "u1") -> None:
        self.host, self.name, self.transport = host, name, transport
        self.folder = folder / f"sipp-{name}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def register(self, server: str = APPLIANCE) -> None:
        """Register; fails where the registrar does not answer 200."""
        self._end(self._begin("register", server, ""))

    def call(self, dialled: str, header: str = MODEL, scenario: str = "call") -> None:
        """Call somebody with one more header, talk for a moment and hang up."""
        self._end(self._begin(scenario, APPLIANCE, dialled, header=header))

    def calls(self, dialled: str, count: int, seconds: float) -> subprocess.Popen[bytes]:
        """Begin to call somebody `count` times, 50 a second, and to talk so long in each call."""
        more = ["-m", str(count), "-l", str(count), "-r", "50", "-d", str(round(1000 * seconds))]
        return self._begin("call", APPLIANCE, dialled, *more)

    def answers(self, count: int) -> subprocess.Popen[bytes]:
        """Begin to take so many calls."""
        return self._begin("answer", APPLIANCE, "", "-m", str(count))

    def rings(self, count: int) -> subprocess.Popen[bytes]:
        """Begin to take so many calls as somebody outside does: after half a second, with SRTP."""
        return self._begin("ring", APPLIANCE, "", "-m", str(count))

    def answer(self) -> subprocess.Popen[bytes]:
        """Begin to wait for one call, answer it, and echo what is said."""
        return self._begin("answer", APPLIANCE, "", "-rtp_echo")

    def finished(self, process: subprocess.Popen[bytes], seconds: float = 15) -> None:
        """Wait for a run to end well."""
        self._end(process, seconds)

    def _begin(
        self, scenario: str, server: str, dialled: str, *more: str, header: str = MODEL
    ) -> subprocess.Popen[bytes]:
        fields = self.folder / "fields.csv"
        who = f"[authentication username={self.name} password={password(self.name)}]"
        fields.write_text(f"SEQUENTIAL\n{self.name};{DOMAIN};{who};{dialled}\n")
        words = ["sipp", server, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-inf", str(fields)]
        words += ["-i", self.host.address, "-mi", self.host.address, "-p", "5060"]
        words += ["-m", "1", "-d", "1500"]
        words += [
            "-auth_uri",
            f"{dialled}@{DOMAIN}" if dialled else DOMAIN,
            "-mp",
            "16000",
            "-nostdin",
        ]
        words += ["-key", "header", header]
        words += ["-timeout", "90s", "-timeout_error"]
        words += ["-t", self.transport, "-trace_err", "-error_file", str(self.folder / "errors")]
        words += ["-trace_msg", "-message_file", str(self.folder / "messages"), *more]
        return self.host.start(*words, log=self.folder / "log")

    def _end(self, process: subprocess.Popen[bytes], seconds: float = 45) -> None:
        status = process.wait(seconds)
        assert status == 0, f"sipp ended with {status}\n{self.trace()}"

    def sent_and_received(self) -> bytes:
        """Give every message of all runs, as sipp writes them."""
        return (self.folder / "messages").read_bytes()

    def trace(self) -> str:
        """Give what was sent and received."""
        file = self.folder / "messages"
        return file.read_text(errors="replace")[-6000:] if file.exists() else "nothing sent"
