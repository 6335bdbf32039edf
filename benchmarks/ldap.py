"""Phones search the directory over LDAP: our door with slapd behind it, beside slapd alone.

python -m benchmarks.ldap [--contacts N] [--users N] [--rate N] [--seconds N] [--connections N]

Both serve the same database of the same bundle, one after the other, on the same core. Paced, that
many searches a second are asked in all; flat out, each connection asks once it has its answer.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.adapters.tls import ensure_certificate
from appliance.bundle import Ldap
from appliance.cloud.sample import make_sample
from appliance.phonebook.ber import element, elements, whole, written
from appliance.phonebook.entry import entries_of
from appliance.phonebook.folding import folded
from benchmarks.isolation import busy_share, enter_own_network
from benchmarks.process import Server, wait_until
from benchmarks.report import Row, cells, table

PORT = 3900
BASE = "dc=site,dc=example"
START_TLS = written(0x77, written(0x80, b"1.3.6.1.4.1.1466.20037"))
ENTRY, FOUND = 0x64, (0, 4)
"""Tag of an entry in an answer; results that are one: all, or as many as were wanted."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.ldap", description=__doc__)
    parser.add_argument("--contacts", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=100, help="searches a second when paced")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--connections", type=int, default=4)
    return parser.parse_args()


class Connection:
    """One phone's connection, perhaps over StartTLS."""

    def __init__(self, secure: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", PORT), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._id = 0
        if secure:
            self.ask(START_TLS)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def ask(self, operation: bytes) -> int:
        """Send an operation and take all of its answer; raises OSError where it is a refusal."""
        self._id += 1
        number = written(0x02, self._id.to_bytes(3, "big"))
        self._socket.sendall(written(0x30, number + operation))
        entries = 0
        while True:
            tag, content = self._message()
            if tag != ENTRY:
                break
            entries += 1
        if content[2] not in FOUND:
            raise OSError(f"result {content[2]}")
        return entries

    def _message(self) -> tuple[int, bytes]:
        while (size := whole(self._buffer)) is None:
            data = self._socket.recv(65536)
            if not data:
                raise OSError("closed")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        outer = element(data, 0, size)
        operation = list(elements(data, outer.content, outer.end))[1]
        return operation.tag, data[operation.content : operation.end]


def search(text: str) -> bytes:
    """Write the search for a part of a name or a number that phones send."""
    part = written(0x30, written(0x81, text.encode()))
    kinds = (b"telephoneNumber", b"ipPhone") if text.isdigit() else (b"cn", b"sn")
    tests = [written(0xA4, written(0x04, kind) + part) for kind in kinds]
    shown = b"".join(written(0x04, name) for name in (b"displayName", b"telephoneNumber"))
    head = written(0x04, BASE.encode()) + b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x32\x02\x01\x05"
    return written(
        0x63, head + b"\x01\x01\x00" + written(0xA1, b"".join(tests)) + written(0x30, shown)
    )


class Askers:
    """Ask over several connections at once, and keep how long each answer took."""

    def __init__(self, questions: Sequence[bytes], connections: int, secure: bool) -> None:
        self._questions = questions
        self._connections = [Connection(secure) for _ in range(connections)]
        self.took: list[float] = []
        self.failed = 0

    def run(self, rate: int, seconds: float) -> None:
        """Ask `rate` times a second in all, or as fast as answers come where it is 0."""
        begun = time.monotonic()
        threads = [
            threading.Thread(target=self._ask, args=(number, begun, rate, seconds))
            for number in range(len(self._connections))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, first: int, begun: float, rate: int, seconds: float) -> None:
        connection, step = self._connections[first], len(self._connections)
        number = first
        while (now := time.monotonic()) < begun + seconds:
            due = begun + number / rate if rate else now
            if due > begun + seconds:
                break
            time.sleep(max(0.0, due - now))
            try:
                connection.ask(self._questions[number % len(self._questions)])
            except OSError:
                self.failed += 1
                break
            # From when it was due: who waits for the answer before does not count as quick.
            self.took.append(time.monotonic() - due)
            number += step
        connection.close()


def measure(
    server: Server, kind: str, questions: Sequence[bytes], asked: argparse.Namespace
) -> Row:
    """Give one row of a server that is up."""
    secure, rate = "StartTLS" in kind, asked.rate if "flat" not in kind else 0
    busy = busy_share()
    askers = Askers(questions, asked.connections, secure)
    before, begun = server.usage(), time.monotonic()
    askers.run(rate, asked.seconds)
    lasted, after = time.monotonic() - begun, server.usage()
    took = sorted(askers.took)
    return {
        "kind": kind,
        "server": server.name,
        "rate": len(took) / lasted,
        "cpu_us": (after.cpu - before.cpu) / len(took) * 1e6,
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "peak": after.peak,
        "failed": askers.failed,
        "busy": busy,
    }


def prepare(folder: Path, asked: argparse.Namespace) -> list[bytes]:
    """Write bundle, settings and certificate; return what is asked, the same for both."""
    sample = make_sample(asked.users, asked.contacts, site="hq", domain="site.example").bundle
    bundle = msgspec.structs.replace(sample, ldap=Ldap(anonymous=True))
    (folder / "run").mkdir()
    (folder / "bundle.json").write_bytes(msgspec.json.encode(bundle))
    ensure_certificate(folder / "tls", ["localhost", "127.0.0.1"])
    (folder / "holdfast.toml").write_text(
        f'data = "{folder}"\nrun = "{folder / "run"}"\n'
        f'addresses = ["127.0.0.1"]\nldap_port = {PORT}\n'
    )
    dice, entries = random.Random(1), entries_of(bundle)
    texts = []
    for _ in range(500):
        name, number = folded(dice.choice(entries).name), next(iter(dice.choice(entries).dialled()))
        at = dice.randrange(max(1, len(name) - 5))
        texts += [name, name[at : at + 5].strip(), name[at : at + 3].strip(), number[-4:]]
    return [search(text) for text in texts if text]


def servers(folder: Path) -> list[Server]:
    """Give both; the second serves the database that the first has made."""
    own = [
        sys.executable,
        "-m",
        "appliance.cli.command",
        "--settings",
        str(folder / "holdfast.toml"),
    ]
    script = f"exec {shutil.which('slapd', path='/usr/sbin:/usr/bin')} -h ldap://127.0.0.1:{PORT}/ "
    script += f'-f "$(echo {folder}/ldap/*/slapd.conf)" -d none'
    return [
        Server("Holdfast", [*own, "ldap"], folder / "own.log"),
        Server("slapd alone", ["sh", "-c", script], folder / "slapd.log"),
    ]


def answers() -> bool:
    """Tell whether the server answers searches."""
    try:
        connection = Connection(secure=True)
        found = connection.ask(search("an"))
        connection.close()
    except OSError:
        return False
    return found > 0


def main() -> None:
    """Measure both, paced and flat out, in the clear and over StartTLS, and print the table."""
    asked = arguments()
    enter_own_network()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        questions = prepare(Path(name), asked)
        for server in servers(Path(name)):
            server.start()
            try:
                if not wait_until(answers, 180, 0.2):
                    raise RuntimeError(f"{server.name} did not come up:\n{server.tail()}")
                server.settle()
                for pace in (f"{asked.rate}/s", "flat out"):
                    for way in ("plain", "StartTLS"):
                        rows.append(measure(server, f"{way}, {pace}", questions, asked))
                        print("  ".join(cells(rows[-1], None)), flush=True)
            finally:
                server.stop()
    rows.sort(key=lambda row: str(row["kind"]))
    title = f"{asked.contacts + asked.users:,} entries, {asked.connections} connections"
    print("\n" + table(title, rows, "searches"))


if __name__ == "__main__":
    main()
