"""The signalling process as systemd runs it: started, asked, stopped, killed, started again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.adapters.ipc import IpcClient
from appliance.bundle import Bundle, Credential, Monitoring, Policies, Prompt, Site, User, Zone
from appliance.bundle.wav import Wav, write_wav
from appliance.errors import Unavailable
from appliance.media.sounds import Sounds
from appliance.sip.credentials import Challenge
from appliance.sip.digest import ha1, respond
from appliance.sip.framing import parse

DOMAIN = "example.com"
START = (
    "import os, sys\n"
    "from appliance.main import run_core\n"
    "from appliance.settings import load_settings\n"
    "sys.exit(run_core(load_settings(None, dict(os.environ))))\n"
)


def bundle() -> Bundle:
    """Make a site whose only zone is dead, so that phones are served within a second."""
    secret = Credential(username="100", realm=DOMAIN, md5=ha1("MD5", "100", DOMAIN, "pw"))
    return Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="81", domain=DOMAIN, realm=DOMAIN),
        zones=(Zone(id="a", host="127.0.0.1", port=9, transport="TCP"),),
        monitoring=Monitoring(interval=0.1, timeout=0.1, misses=1),
        users=(User(id="u", name="Ann", extension="100", credentials=(secret,)),),
        policies=Policies(digest_algorithms=("MD5",)),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One data folder and the process on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.running: subprocess.Popen[bytes] | None = None

    def spawn(self, **other: str) -> subprocess.Popen[bytes]:
        settings = {
            "HOLDFAST_DATA": str(self.folder / "data"),
            "HOLDFAST_RUN": str(self.folder / "run"),
            "HOLDFAST_ADDRESSES": "127.0.0.1",
            "HOLDFAST_SIP_PORT": str(self.port),
            "HOLDFAST_SIPS_PORT": str(free_port()),
            **other,
        }
        return subprocess.Popen(
            [sys.executable, "-c", START], env={**os.environ, **settings}, stderr=subprocess.PIPE
        )

    def start(self, **other: str) -> float:
        """Start it and return the seconds until it answered a phone and took commands.

        On a machine that is busy with other things its own CPU time is the fair measure.
        """
        begun = time.monotonic()
        self.running = self.spawn(**other)
        while not self.is_serving():
            assert self.running.poll() is None, "it ended by itself"
            time.sleep(0.05)
        stat = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()
        used = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return min(used, time.monotonic() - begun)

    def is_serving(self) -> bool:
        with socket.socket(socket.AF_UNIX) as door:
            if door.connect_ex(str(self.folder / "run" / "core.sock")):
                return False
        return register(self.port, 99).startswith(b"SIP/2.0 ")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.running is not None
        self.running.send_signal(number)
        _, said = self.running.communicate(timeout=10)
        return self.running.returncode, said.decode()

    def ask(self, name: str, **arguments: Any) -> Any:
        async def asked() -> Any:
            client = IpcClient(self.folder / "run" / "core.sock")
            try:
                return await client.call(name, **arguments)
            except Unavailable:
                return None
            finally:
                await client.close()

        return asyncio.run(asked())

    def until(self, name: str, **wanted: Any) -> None:
        end = time.monotonic() + 10
        while any((self.ask(name) or {}).get(key) != value for key, value in wanted.items()):
            assert time.monotonic() < end, self.ask(name)
            time.sleep(0.02)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    it = Process(tmp_path)
    yield it
    if it.running is not None and it.running.poll() is None:
        it.running.kill()
        it.running.communicate()


def register(port: int, cseq: int, authorization: str = "") -> bytes:
    """Send one REGISTER over UDP and return the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(5)
        phone.connect(("127.0.0.1", port))
        here = "{}:{}".format(*phone.getsockname())
        lines = [
            f"REGISTER sip:{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{cseq};rport",
            f"From: <sip:100@{DOMAIN}>;tag=f",
            f"To: <sip:100@{DOMAIN}>",
            "Call-ID: c@127.0.0.1",
            f"CSeq: {cseq} REGISTER",
            f"Contact: <sip:100@{here}>",
            "Max-Forwards: 70",
            "Expires: 60",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        phone.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return phone.recv(4000)


def test_without_a_bundle_phones_get_503_and_sigterm_ends_it_cleanly(process: Process) -> None:
    process.start()
    assert register(process.port, 1).startswith(b"SIP/2.0 503 ")
    assert process.ask("bundle.info") is None
    status, said = process.end()
    assert status == 0
    assert "core.stop" in said
    assert "runtime.bug" not in said


def test_there_is_only_one_of_it(process: Process) -> None:
    process.start()
    second = process.spawn()
    _, said = second.communicate(timeout=10)
    assert (second.returncode, b"stop it first" in said) == (1, True)


def test_a_wrong_certificate_is_an_alarm_and_our_own_is_shown(process: Process) -> None:
    process.start(HOLDFAST_TLS_CERTIFICATE="/nowhere.pem")
    assert process.ask("status")["served"]["TLS"]
    assert "showing our own instead" in process.end()[1]


def test_registrations_survive_kill_9_and_are_served_again_within_two_seconds(
    process: Process,
) -> None:
    process.start()
    file = process.folder / "bundle.json"
    file.write_bytes(msgspec.json.encode(bundle()))
    process.ask("bundle.apply", path=str(file))
    (process.folder / "data" / "bundle.json").write_bytes(file.read_bytes())
    process.until("mode", mode="survivability")

    refused = parse(register(process.port, 1))
    challenge = Challenge.parse(refused.all("WWW-Authenticate")[0])
    proof = respond(challenge, "100", "pw", "REGISTER", f"sip:{DOMAIN}", 1, "cnonce")
    assert register(process.port, 2, proof).startswith(b"SIP/2.0 200 ")
    time.sleep(0.1)  # What was answered this long ago is on the disk (issue, 5).
    process.end(signal.SIGKILL)

    assert process.start() < 2.0
    assert process.ask("status")["phones"]["registered"] == 1
    assert process.ask("mode")["mode"] == "survivability"
    assert process.ask("mode.history")[0]["after"] == "survivability"
    assert process.ask("status")["faults"] == 0


def test_what_follows_the_bundle_follows_it(process: Process) -> None:
    process.start()
    samples = array("h", [n % 50 * 300 for n in range(8000)]).tobytes()
    prompts = (Prompt(id="welcome", audio=write_wav(Wav("PCM", 8000, 1, samples))),)
    policies = Policies(dscp_strategy="4-queue")
    wanted = msgspec.structs.replace(bundle(), prompts=prompts, policies=policies)
    file = process.folder / "bundle.json"
    file.write_bytes(msgspec.json.encode(wanted))
    assert process.ask("bundle.apply", path=str(file))["version"] == 1
    assert process.ask("qos")["marks"] == {"media": 46, "signalling": 24, "management": 26}
    folder = process.folder / "data" / "sounds"
    end = time.monotonic() + 20
    while Sounds(folder).frames("welcome", "PCMU") is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    status, said = process.end()
    assert status == 0 and "runtime.bug" not in said
